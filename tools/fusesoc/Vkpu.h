/* SPDX-License-Identifier: Apache-2.0 */
// FuseSoC has Verilator name the model after the top module; sim/openkpu.cpp calls it Vkpu.
#include "Vkpu_core.h"
using Vkpu = Vkpu_core;
