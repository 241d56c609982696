docker image ls --quiet --filter "label=dev.pipe.test=$CASE" | sort -u | xargs -r docker image rm --force > /dev/null
