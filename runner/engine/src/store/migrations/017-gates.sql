-- Gates in the middle of jobs that ask people: few among many rollouts, looked for by pages that are open all day.
CREATE INDEX rollouts_asking ON rollouts (id) WHERE substr(service, 1, 5) = 'gate:' AND view ->> '$.outcome' IS NULL;
