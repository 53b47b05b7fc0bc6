"""The program `mii`, which the package brings."""
import os
import sys


def main() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    dictionary(folder)
    program = os.path.join(folder, "bin", "mii")
    os.execv(program, [program, *sys.argv[1:]])


def dictionary(folder: str) -> None:
    """Says where the package keeps DICOM's dictionary, unless somebody has said another place."""
    names = [os.path.join(folder, "share", "dcmtk", name) for name in ("dicom.dic", "private.dic")]
    found = [name for name in names if os.path.isfile(name)]
    if found and "DCMDICTPATH" not in os.environ:
        os.environ["DCMDICTPATH"] = ":".join(found)


if __name__ == "__main__":
    main()
