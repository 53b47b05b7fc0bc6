"""The curl calls of the README's service section run as printed, and answer with the same keys.
usage: readme_test.py MII"""
import json
import pathlib
import re
import subprocess
import sys

from service import DATA, service

ROOT = pathlib.Path(__file__).resolve().parents[2]
PICTURE = "build/demo-images/retina.jpg"


def calls():
    text = (ROOT / "README.md").read_text().split("## Service\n")[1].split("\n## ")[0]
    block = re.search(r"```console\n(.*?)```", text, re.S).group(1)
    for part in block.split("\n$ ")[1:]:
        command, answer = part.strip().split("\n", 1)
        yield command, answer


def keys(answer):
    return json.dumps(json.loads(answer, object_pairs_hook=lambda pairs: {k: v if isinstance(v, (str, list)) else None
                                                                          for k, v in pairs}), sort_keys=True)


def main():
    count = 0
    with service(sys.argv[1]) as running:
        for command, answer in calls():
            command = command.replace("http://127.0.0.1:8000", running.url)
            if not (ROOT / PICTURE).exists():  # `make demo` fetches it; any picture shows the form of the answer
                command = command.replace(PICTURE, str(DATA / "rgb.png"))
            result = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
            assert result.returncode == 0 and keys(result.stdout) == keys(answer), (command, result.stdout, answer)
            count += 1
    assert count == 3, count
    print(f"{count} calls answered as printed")


main()
