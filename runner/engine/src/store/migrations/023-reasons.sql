-- Why a run, or a part of it, was cancelled: for lists. The first reason stays.
ALTER TABLE runs ADD COLUMN reason TEXT;
