echo changed > a.txt
echo new > new.txt
echo ignored > x.log
rm gone.txt
printf '#!/bin/sh\n' > run.sh
chmod +x run.sh
ln -s a.txt link
