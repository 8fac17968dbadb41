"""Real hosts on one Linux machine for the Molecule scenarios: booted systemd, sshd, a private bridge, no images.

    python tools/hosts.py create < hosts.json     remove leftovers, build the bases that are missing, boot every host
    python tools/hosts.py kill NAME               the power fails
    python tools/hosts.py start NAME              the power is back
    python tools/hosts.py destroy                 remove everything but the cached bases

hosts.json: {"bridge": "10.213.57.1/24", "domain", "user", "public_key", "hosts": [{"name", "address", "suite"}, ...]}
``create`` prints the lines for known_hosts. A base is a debootstrap tree, cached under CACHE and named after the hash
of all that it is made of; a host is an overlay on its base. Needs root and the Debian packages of ``PROGRAMS``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CACHE = Path("/var/cache/consolidation-molecule")
BASES = CACHE / "bases"
HOSTS = CACHE / "hosts"
BRIDGE = "consolidation0"
PROGRAMS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "openssl": "openssl",
}
PACKAGES = ["systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "acl", "procps", "iproute2", "ca-certificates"]
PACKAGES += ["python3", "python3-venv", "python3-apt"]
DATABASE_PACKAGES = ["postgresql", "postgresql-client", "python3-psycopg2"]
# The cluster is made by the scenario, with its own settings; a base has none.
POSTGRESQL_COMMON = "create_main_cluster = false\nstart_conf = auto\nadd_include_dir = 'conf.d'\n"
BOOT_SECONDS = 60
STOP_SECONDS = 10


class HostsError(Exception):
    """What is missing or went wrong, and what to do."""


def main(arguments: list[str]) -> None:
    """Run one subcommand; an error is one sentence and exit code 1."""
    try:
        check_machine()
        with exclusive():
            match arguments:
                case ["create"]:
                    create(json.load(sys.stdin))
                case ["destroy"]:
                    destroy()
                case ["kill", name]:
                    stop(name, seconds=0)
                case ["start", name]:
                    boot(name)
                    wait_for_ssh(name)
                case _:
                    raise HostsError(str(__doc__).split("\n\n")[1])
    except HostsError as error:
        sys.exit(f"hosts: {error}")
    except subprocess.CalledProcessError as error:
        output = (error.stderr or error.stdout or "").strip()[-2000:]
        sys.exit(f"hosts: `{' '.join(map(str, error.cmd))}` failed: {output}")


def run(*command: str | Path, **options: str) -> str:
    """Run a program and return its output."""
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout  # type: ignore[call-overload]


def check_machine() -> None:
    """Raise HostsError unless this machine can boot hosts."""
    if sys.platform != "linux":
        raise HostsError("real hosts need Linux (systemd-nspawn, overlay mounts, bridges)")
    if os.geteuid() != 0:
        raise HostsError("real hosts need root (systemd-nspawn, overlay mounts, bridges): run `sudo make molecule`")
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if missing:
        raise HostsError(f"Debian packages are missing: apt-get install --no-install-recommends {' '.join(missing)}")
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        raise HostsError("this kernel has no overlay file system loaded: try `modprobe overlay`")


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """One process at a time changes the hosts of this machine."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HostsError("another process is creating or removing the hosts of this machine: wait for it") from None
        yield


def create(wanted: dict) -> None:
    """Boot every wanted host, from nothing; prints the lines for known_hosts."""
    destroy()
    bases = {suite: base(suite) for suite in sorted({host["suite"] for host in wanted["hosts"]})}
    make_bridge(wanted["bridge"])
    for host in wanted["hosts"]:
        prepare(host, bases[host["suite"]], wanted)
        boot(host["name"])
    for host in wanted["hosts"]:
        wait_for_ssh(host["name"])
        key = (HOSTS / host["name"] / "upper/etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]
        print(host["address"], *key)


def base(suite: str) -> Path:
    """The base of a Debian release, built when this recipe has none in the cache."""
    recipe = json.dumps([suite, PACKAGES, DATABASE_PACKAGES, POSTGRESQL_COMMON])
    path = BASES / f"{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if path.exists():
        return path
    print(f"building the base {path} (a minute or two, once)", file=sys.stderr, flush=True)
    BASES.mkdir(parents=True, exist_ok=True)
    for old in BASES.glob(f"{suite}-*"):
        shutil.rmtree(old)
    unfinished = path.with_suffix(".unfinished")
    run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, unfinished)
    (unfinished / "etc/postgresql-common").mkdir()
    (unfinished / "etc/postgresql-common/createcluster.conf").write_text(POSTGRESQL_COMMON)
    inside = ("systemd-nspawn", "--quiet", "--pipe", "--register=no", "--keep-unit", "--resolv-conf=copy-host")
    install = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends " + " ".join(
        DATABASE_PACKAGES
    )
    run(*inside, f"--directory={unfinished}", "sh", "-ec", f"apt-get update; {install}; apt-get clean")
    for key in (unfinished / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (unfinished / "etc/machine-id").write_text("")
    unfinished.rename(path)
    return path


def make_bridge(address: str) -> None:
    """A bridge of our own whose network no one else uses; the machine is its first address."""
    network = ipaddress.ip_interface(address).network
    for route in json.loads(run("ip", "-json", "-4", "route", "show")):
        if route["dst"] != "default" and ipaddress.ip_network(route["dst"]).overlaps(network):
            fix = "change molecule_bridge and the addresses in molecule/inventory"
            raise HostsError(f"the network {network} is in use on {route['dev']}: {fix}")
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", address, "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")


def prepare(host: dict, lower: Path, wanted: dict) -> None:
    """The overlay of one host: name, address, host key, and a user who may come in by key and use sudo."""
    home = HOSTS / host["name"]
    upper = home / "upper"
    for folder in ("upper", "work", "root"):
        (home / folder).mkdir(parents=True)
    prefix = ipaddress.ip_interface(wanted["bridge"]).network.prefixlen
    user = wanted["user"]
    peers = "".join(f"{peer['address']} {peer['name']}.{wanted['domain']} {peer['name']}\n" for peer in wanted["hosts"])
    files = {
        "etc/hostname": f"{host['name']}\n",
        "etc/hosts": "127.0.0.1 localhost\n" + peers,
        "etc/systemd/network/10-host0.network": f"[Match]\nName=host0\n[Network]\nAddress={host['address']}/{prefix}\n",
        f"etc/ssh/keys/{user}": wanted["public_key"] + "\n",
        "etc/ssh/sshd_config.d/molecule.conf": "PasswordAuthentication no\nPermitRootLogin no\n"
        "HostKey /etc/ssh/ssh_host_ed25519_key\nAuthorizedKeysFile /etc/ssh/keys/%u\n",
        "etc/sudoers.d/molecule": f"{user} ALL=(ALL) NOPASSWD: ALL\n",
        "etc/sysusers.d/molecule.conf": f'u {user} 1000 "Operator" /home/{user} /bin/bash\n',
        "etc/tmpfiles.d/molecule.conf": f"d /home/{user} 0700 {user} {user}\n",
    }
    for name, content in files.items():
        file = upper / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (upper / "etc/sudoers.d/molecule").chmod(0o440)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host["name"], "-f", upper / "etc/ssh/ssh_host_ed25519_key")
    (home / "base").write_text(str(lower))
    (home / "address").write_text(host["address"])
    mount(home)
    run("systemctl", f"--root={home / 'root'}", "--quiet", "enable", "ssh", "systemd-networkd")


def mount(home: Path) -> None:
    """Lay the host's overlay over its base."""
    lower = (home / "base").read_text()
    options = f"lowerdir={lower},upperdir={home / 'upper'},workdir={home / 'work'}"
    run("mount", "-t", "overlay", "overlay", "-o", options, home / "root")


def boot(name: str) -> None:
    """Start the host's systemd; it goes on when we end."""
    home = HOSTS / name
    if not home.exists():
        raise HostsError(f"there is no host {name}: create it first")
    if supervisors(name):
        return
    command = ["systemd-nspawn", "--quiet", "--boot", f"--directory={home / 'root'}", f"--machine={name}"]
    command += [f"--network-bridge={BRIDGE}", "--register=no", "--keep-unit", "--resolv-conf=off", "--link-journal=no"]
    groups = cgroups(name)
    for group in groups:
        group.mkdir(exist_ok=True)

    def join_cgroups() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text("0")

    with (home / "console").open("ab") as console:
        subprocess.Popen(
            [*command, "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
            preexec_fn=join_cgroups,  # noqa: PLW1509 - no threads here
        )


def cgroups(name: str) -> list[Path]:
    """A host's own control groups: in one group the hosts' systemds would end each other's services."""
    return [tree / f"consolidation-{name}" for tree in control_trees()]


def control_trees() -> list[Path]:
    """Where this machine has its control groups."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(place) for _, place, kind, options, *_ in mounts if kind == "cgroup2" or "name=systemd" in options]


def wait_for_ssh(name: str) -> None:
    """Wait until the host lets users in. Raises HostsError with the end of its console."""
    address = (HOSTS / name / "address").read_text()
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=2) as ssh:
            if ssh.recv(4) == b"SSH-" and not is_booting(name):
                return
        time.sleep(0.2)
    console = (HOSTS / name / "console").read_text(errors="replace")[-2000:]
    raise HostsError(f"{name} let no one in on {address}:22 within {BOOT_SECONDS} s; its console ends with:\n{console}")


def is_booting(name: str) -> bool:
    """Whether sshd still turns users away (pam_nologin): it answers some seconds before it lets anyone in."""
    return any(Path(f"/proc/{pid}/root/run/nologin").exists() for pid in processes(name))


def supervisors(name: str) -> list[int]:
    """The systemd-nspawn processes of a host, whoever started them."""
    wanted = f"--directory={HOSTS / name / 'root'}".encode()
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if wanted in words(process)]


def words(process: Path) -> list[bytes]:
    """The command line of a process; empty where it has ended meanwhile."""
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def processes(name: str) -> list[int]:
    """Every process of a host: systemd-nspawn, and what runs in the host, which outlives a killed systemd-nspawn."""
    root = HOSTS / name / "root"
    inside = []
    for process in Path("/proc").glob("[0-9]*") if root.is_mount() else ():
        with contextlib.suppress(OSError):  # it ended meanwhile
            if (process / "root").stat().st_dev == root.stat().st_dev:
                inside.append(int(process.name))
    return [*supervisors(name), *inside]


def stop(name: str, seconds: float) -> None:
    """End a host: an orderly shutdown within ``seconds``, then the power goes."""
    if seconds:
        signal_all(supervisors(name), signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while found := processes(name):
        if time.monotonic() >= deadline:
            signal_all(found, signal.SIGKILL)
        time.sleep(0.1)


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Signal processes, those that have ended meanwhile excepted."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def destroy() -> None:
    """Remove every host and the bridge, whatever state they are in. Raises HostsError when something is left."""
    homes = sorted(HOSTS.glob("*"))
    for home in homes:
        signal_all(supervisors(home.name), signal.SIGTERM)
    for home in homes:
        stop(home.name, STOP_SECONDS)
        while home.joinpath("root").is_mount():
            run("umount", home / "root")
        for group in cgroups(home.name):
            for folder in sorted([group, *group.rglob("*/")] if group.exists() else [], reverse=True):
                folder.rmdir()
        shutil.rmtree(home)
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        run("ip", "link", "delete", BRIDGE)
    if left := leftovers():
        raise HostsError(f"left behind: {', '.join(left)}; remove it by hand, then run `destroy` again")


def leftovers() -> list[str]:
    """What there still is of any host: its own folder may be gone."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = f"--directory={HOSTS}/".encode()
    running = [p for p in Path("/proc").glob("[0-9]*") if any(word.startswith(inside) for word in words(p))]
    return [
        *(f"mount {place}" for place in mounts if place.startswith(f"{HOSTS}/")),
        *(f"process {process.name}" for process in running),
        *(f"control group {group}" for tree in control_trees() for group in tree.glob("consolidation-*")),
        *(f"folder {home}" for home in HOSTS.glob("*")),
        *(f"link {link.name}" for link in Path("/sys/class/net").glob(BRIDGE)),
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
