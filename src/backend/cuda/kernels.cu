#include "backend/cuda/kernels-inl.h"
