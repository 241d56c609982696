python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX); s.bind(os.environ["CASE"] + "/s")'
chmod 000 "$CASE/s"
