# SPDX-License-Identifier: Apache-2.0
# ulab as features are compared with it.
# prints: 3 \(3,\) \(3,\) 3
# prints: 4.5 2
# prints: 10.0
# prints: \[1.0, 2.0\]
import ulab as np
import ulab.array
from ulab import linalg, numerical, vector

a = np.array([1, 2, 3])
print(len(a), a.shape(), a.shape, a.size())
print(numerical.sum(a) * 0.75, numerical.argmax(a))
d = np.array([4.0, 5.0, 6.0]) - np.array([1, 5, 5], dtype=np.float)
print(linalg.dot(d, d))
print(list(vector.sqrt(np.array([1.0, 4.0]))))
