-- Rollouts by when they ended: people are told of those that went back, and that is looked for all day.
CREATE INDEX rollouts_by_change ON rollouts (updated_at) WHERE state <> 'active';
