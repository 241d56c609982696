git update-ref refs/remotes/origin/main main
git checkout --quiet -b release
mkdir src && echo a > src/a
git add --all
git commit --quiet --message "change src"
git update-ref refs/remotes/origin/release release
git checkout --quiet -b topic
mkdir docs && echo b > docs/b
git add --all
git commit --quiet --message "change docs"
mkdir web && echo c > web/c
git add --all
git commit --quiet --message "change web"
