mkdir -p .github/workflows
{ echo 'on: push'; echo 'jobs:'; head -c 2000000 /dev/zero | tr '\0' '#'; } > .github/workflows/ci.yml
