umount --lazy "$CASE/state"
