#include "roost.h"
