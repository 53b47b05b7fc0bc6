#!/usr/bin/env python3
"""Prints finding_table.cpp: findings.tsv as a text.

usage: make_finding_table.py findings.tsv > finding_table.cpp
"""
import pathlib
import sys

text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
print(f'''// Made by make_finding_table.py from findings.tsv.
#include "reports/finding_table.h"

namespace mii::reports {{

const std::string_view kFindingTable = R"TABLE({text})TABLE";

}}  // namespace mii::reports''')
