"""A virtual environment with packages from PyPI, for tests that compare with another program."""
import pathlib
import subprocess
import sys
import venv


def enter_environment(folder, packages):
    """Starts the script again inside of the environment, unless it runs there already. Exits with 77 without PyPI."""
    python = folder / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == folder.resolve():
        return
    try:
        if not (folder / "complete").exists():
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, timeout=600)
            (folder / "complete").touch()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"skipped: {', '.join(packages)} cannot be installed: {error}")
        sys.exit(77)
    sys.exit(subprocess.run([python, *sys.argv]).returncode)
