#!/usr/bin/env bash
# The start of an isolated host, run by `unshare` in namespaces of its own (see host.py): a root file system that keeps
# nothing, without the tester's home, /tmp and checkout, with what an image brings (a Python with the project's
# dependencies, an NFS client, sudo, tmux), and an ssh server as process 1, whose end is the host's power-off.
#
# From the environment: HOST_NAME, HOST_IP, HOST_KEYS (a folder with host_key and authorized_keys), HOST_USER, HOST_EXPORT
# (the folder that NFS mounts; empty: each host has an own one), HOST_HIDE (folders, by colon), HOST_VENV,
# HOST_PYTHON, HOST_PROFILE (lines for every login shell), HOST_COMMAND (instead of the ssh server).
set -euo pipefail
mount --make-rprivate /
stage=/mnt
export_source=$(mktemp -d) && [ -z "$HOST_EXPORT" ] || export_source=$HOST_EXPORT
exec 7<"$export_source" 8<"$HOST_VENV" 9<"$HOST_PYTHON" 6<"$HOST_KEYS"
mount -t tmpfs -o mode=755 tmpfs $stage
mkdir $stage/{upper,work,root,venv_upper,venv_work}
mount -t overlay -o lowerdir=/,upperdir=$stage/upper,workdir=$stage/work overlay $stage/root
root=$stage/root

# What a bare machine does not have. The Python is put back where it was, its packages in a copy of the host's own.
IFS=: read -ra hidden <<< "$HOST_HIDE"
for folder in /tmp /root /run /home "${hidden[@]}"; do
    mkdir -p "$root$folder"
    mount -t tmpfs -o mode=755 tmpfs "$root$folder"
done
chmod 1777 $root/tmp
mkdir -p "$root$HOST_VENV" $root/srv/export
[ -e "$root$HOST_PYTHON/bin" ] || { mkdir -p "$root$HOST_PYTHON" && mount --bind /proc/self/fd/9 "$root$HOST_PYTHON"; }
mount -t overlay -o "lowerdir=/proc/self/fd/8,upperdir=$stage/venv_upper,workdir=$stage/venv_work" overlay "$root$HOST_VENV"
mount --bind /proc/self/fd/7 $root/srv/export
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount --rbind /dev $root/dev
mount -t tmpfs -o mode=1777 tmpfs $root/dev/shm

home=/home/$HOST_USER
mkdir -p $root$home/.ssh $root/run/sshd $root/root/.config/pip
cp /proc/self/fd/6/authorized_keys $root$home/.ssh/
install -m 600 /proc/self/fd/6/host_key $root/run/host_key
chmod 700 $root$home/.ssh
# The image's user may do what root may; to make a real one would need a writable copy of the Python for it.
echo "$HOST_USER:x:0:0::$home:/bin/bash" > $stage/passwd
cat $root/etc/passwd >> $stage/passwd
cp $stage/passwd $root/etc/passwd
printf '#!/bin/sh\nexec "$@"\n' > $root/usr/local/bin/sudo
printf '#!/bin/sh\nexec mount --bind /srv/export "$2"\n' > $root/usr/sbin/mount.nfs4
printf '#!/bin/sh\n' > $root/usr/local/bin/tmux
chmod 755 $root/usr/local/bin/{sudo,tmux} $root/usr/sbin/mount.nfs4
ln -s "$HOST_VENV" $root$home/.study-venv
mkdir -p $root$home/.config/pip
printf '[global]\nno-index = true\n[install]\nno-build-isolation = false\n' > $root$home/.config/pip/pip.conf
rm -f $root/etc/profile.d/* $root/etc/resolv.conf
# Ray's workers step back behind everything else that a machine does; these hosts share theirs with whatever runs here.
# And Ray gives a node up after 65 s without an answer, and a worker itself after 60 s without a head: here sooner.
ray="RAY_worker_niceness=0 RAY_health_check_timeout_ms=3000 RAY_gcs_rpc_server_reconnect_timeout_s=20"
printf 'export %s\n%s\n' "$ray" "$HOST_PROFILE" > $root/etc/profile.d/image.sh
printf 'options timeout:1 attempts:1\n' > $root/etc/resolv.conf
printf '127.0.0.1 localhost\n%s %s\n' "$HOST_IP" "$HOST_NAME" > $root/etc/hosts
touch $root$home/.bashrc

hostname "$HOST_NAME"
exec 6<&- 7<&- 8<&- 9<&-
# The network comes from outside: an interface of this namespace can be made by its parent only.
until ip -br address show dev eth0 2>/dev/null | grep -q "$HOST_IP"; do sleep 0.02; done
cd /
[ -z "$HOST_COMMAND" ] || exec chroot $root /usr/bin/env -i HOME=$home PATH="$HOST_VENV/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" bash -lc "$HOST_COMMAND"
exec chroot $root /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /usr/sbin/sshd -D -e -f /dev/null -h /run/host_key -o ListenAddress="$HOST_IP" -o UsePAM=no \
    -o PidFile=none -o MaxStartups=100 -o MaxSessions=100
