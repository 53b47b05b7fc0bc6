#!/usr/bin/env python3
"""Prints tables.cpp: the files of labels/ as texts.

usage: make_tables.py FOLDER > tables.cpp
"""
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
print('// Made by make_tables.py from the files of labels/.\n#include "labels/tables.h"\n\nnamespace mii::labels {\n')
for constant, name in (("kNames", "names.tsv"), ("kEntries", "catalogue.tsv")):
    print(f'const std::string_view {constant} = R"TABLE({(folder / name).read_text(encoding="utf-8")})TABLE";\n')
print("}  // namespace mii::labels")
