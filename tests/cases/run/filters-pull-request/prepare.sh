git update-ref refs/remotes/origin/main main
git checkout --quiet -b topic
mkdir src && echo a > src/a
git add --all
git commit --quiet --message "change src"
mkdir docs && echo b > docs/b
git add --all
git commit --quiet --message "change docs"
