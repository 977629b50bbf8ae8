/* SPDX-License-Identifier: Apache-2.0 */
#include "Vkpu_core___024root.h"
