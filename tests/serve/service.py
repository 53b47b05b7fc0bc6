"""Starts `mii serve` on a free port of 127.0.0.1 and stops it again."""
import contextlib
import json
import pathlib
import subprocess
import threading
import time
import urllib.request

DATA = pathlib.Path(__file__).resolve().parents[1] / "data" / "golden" / "synthetic"


class Service:
    def __init__(self, program, *flags, port=0):
        self.process = subprocess.Popen(
            [program, "serve", "--port", str(port), *flags], stderr=subprocess.PIPE, text=True)
        self.log = []
        self.port = self.wait_for("listening")["port"]
        self.url = f"http://127.0.0.1:{self.port}"

    def wait_for(self, event):
        for line in self.process.stderr:
            entry = json.loads(line)
            self.log.append(entry)
            if entry["event"] == event:
                return entry
        raise RuntimeError(f"the service ended before '{event}': {self.log[-3:]}")

    def wait_ready(self):
        self.wait_for("ready")
        self.reader = threading.Thread(target=lambda: self.log.extend(map(json.loads, self.process.stderr)))
        self.reader.start()
        return self

    def get(self, path):
        with urllib.request.urlopen(self.url + path) as answer:
            return answer.read().decode()

    def stop(self, timeout=60):
        self.process.terminate()
        status = self.process.wait(timeout)
        self.reader.join()
        return status


@contextlib.contextmanager
def service(program, *flags, port=0):
    running = Service(program, *flags, port=port).wait_ready()
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def memory_kb(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
