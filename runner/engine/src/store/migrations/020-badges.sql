-- Repositories whose badges are shown to who is not signed in. Of a token only its digest is kept; NULL: everybody may.
CREATE TABLE badges (
    repository TEXT PRIMARY KEY COLLATE NOCASE,
    token      BLOB
) STRICT, WITHOUT ROWID;
