#pragma once

/// Marks what the shared library offers to its users; everything else stays hidden.
#define MII_API __attribute__((visibility("default")))
