mkdir -p .github/workflows
ln -s /etc/passwd .github/workflows/ci.yml
