"""Includes point down. A component includes itself and what USES in its CMakeLists.txt names, the public headers of
include/mii only each other, and nothing includes apps/ or python/. usage: layers.py ROOT"""
import pathlib
import re
import sys

# The component that each public header belongs to.
PUBLIC = {
    "error.h": "core", "export.h": "core", "identity.h": "core", "matrix.h": "core",
    "profile.h": "medical", "provenance.h": "medical",
    "image.h": "image",
    "precision.h": "backend",
    "head.h": "heads",
    "engine.h": "engine",
    "explain.h": "engine", "report.h": "engine",
    "series.h": "pipeline",
}

root = pathlib.Path(sys.argv[1])
uses = {}
for cmake in root.glob("src/*/CMakeLists.txt"):
    text = cmake.read_text()
    target = re.search(r"mii_component\(\s*\w+(.*?)\n?\)", text, re.S)
    if target:
        listed = re.search(r"USES ([\w ]+?)(\n|LINKS|\)|$)", target.group(1))
        uses[cmake.parent.name] = set(listed.group(1).split()) if listed else set()
    else:  # the trainer, which also builds alone
        uses[cmake.parent.name] = set(re.findall(r"mii::(\w+)", text))


def reach(component, above=()):
    if component in above:
        sys.exit(f"components use each other in a circle: {' > '.join([*above, component])}")
    return {component}.union(*(reach(used, (*above, component)) for used in uses[component]))


def fault(path, component, included):
    """What is wrong with an include of a file of the component, or nothing."""
    folder, _, name = included.partition("/")
    owner = PUBLIC.get(name) if folder == "mii" else folder
    if component == "apps":
        return None if owner in uses or not name else "no component has it"
    if path.parent.name == "mii" and folder != "mii":
        return "a public header may include public headers only"
    if owner != component and owner not in uses[component]:
        return f"{component} does not use {owner}"
    return None


wrong = [f"include/mii/{path.name}: it is not in the table of this script"
         for path in sorted(root.glob("include/mii/*")) if path.name not in PUBLIC]
for component in uses:
    reach(component)
files = [(path, PUBLIC.get(path.name, "core")) for path in root.glob("include/mii/*.h")]
files += [(path, path.relative_to(root / "src").parts[0]) for path in root.glob("src/*/**/*")]
files += [(path, "apps") for path in root.glob("apps/*")]
files += [(path, "apps") for path in root.glob("python/src/*")]
for path, component in sorted(files):
    if path.suffix not in (".h", ".cpp"):
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        included = re.match(r'#\s*include "(.*)"', line)
        if included and (what := fault(path, component, included.group(1))):
            wrong.append(f"{path.relative_to(root)}:{number}: {included.group(0)}: {what}")
print("\n".join(wrong) or f"{len(uses)} components, all includes point down")
sys.exit(bool(wrong) or len(uses) < 7)
