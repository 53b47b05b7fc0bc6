// The shared library is made of the components; this file only gives CMake a source.
