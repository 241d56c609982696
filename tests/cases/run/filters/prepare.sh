mkdir -p src && echo a > src/a
git add --all
git commit --quiet --message "change src"
