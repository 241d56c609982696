mkdir -p .github/workflows
printf 'on: push\n\000\377\n' > .github/workflows/ci.yml
