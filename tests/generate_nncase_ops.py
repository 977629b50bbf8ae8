# SPDX-License-Identifier: Apache-2.0
"""One small ONNX graph per operator, compiled and run by nncase 1.9 (PyPI, CPython 3.10) for test_nncase_operators.py.

Usage: python generate_nncase_ops.py FOLDER [NAME ...], with requirements-nncase.txt installed.
Writes <name>.kmodel (target cpu: StackVM code only) and <name>.npz (x<i> inputs, y<i> outputs of nncase's simulator).
"""

import os
import sys
from pathlib import Path

import nncase
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F, I32, I64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
SHAPE = [1, 4, 6, 8]
RNG = np.random.RandomState(0)
CONST = RNG.randn(*SHAPE).astype("f4")
X = [("x", F, SHAPE)]
UNARY = ("Abs Ceil Cos Exp Floor Log Neg Round Sin Sqrt Tanh Sigmoid Sign Acos Asin Erf Softmax Hardmax LogSoftmax "
         "LeakyRelu LpNormalization").split()
ATTRIBUTES = {"Softmax": {"axis": 3}, "Hardmax": {"axis": 3}, "LogSoftmax": {"axis": 3},
              "LpNormalization": {"axis": 1, "p": 2}}


def graph(nodes, outputs, constants=(), inputs=X, opset=11):
    """A serialized model; nodes are (operator, inputs, outputs, attributes)."""
    made = helper.make_model(helper.make_graph(
        [helper.make_node(op, i, o, **a) for op, i, o, a in nodes], "g",
        [helper.make_tensor_value_info(*v) for v in inputs], [helper.make_tensor_value_info(*v) for v in outputs],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants]),
        opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 6
    return made.SerializeToString()


def one(op, out=SHAPE, constants=(), inputs=X, dtype=F, opset=11, **attributes):
    """A model of one operator with the output y."""
    names = [n for n, _, _ in inputs] + [n for n, _ in constants]
    return graph([(op, names, ["y"], attributes)], [("y", dtype, out)], constants, inputs, opset)


def cases():
    """Models by name."""
    found = {op.lower(): one(op, **ATTRIBUTES.get(op, {})) for op in UNARY}
    found |= {op.lower(): one(op, constants=[("c", CONST)]) for op in "Add Sub Mul Div Pow Min Max".split()}
    found["mul_broadcast"] = one("Mul", constants=[("c", CONST[0, :1, :, :1])])
    found["add_int32"] = one("Add", constants=[("c", (CONST * 100).astype("i4"))], inputs=[("x", I32, SHAPE)],
                             dtype=I32)
    for op in "Equal Greater Less GreaterOrEqual LessOrEqual".split():
        opset = 12 if "Or" in op else 11
        compare = (op, ["x", "c"], ["b"], {})
        y = [("y", F, SHAPE)]
        found[op.lower()] = graph([compare, ("Cast", ["b"], ["y"], {"to": F})], y, [("c", CONST)], opset=opset)
        found[f"where_{op.lower()}"] = graph([compare, ("Where", ["b", "x", "c"], ["y"], {})], y, [("c", CONST)],
                                             opset=opset)
    found["transpose"] = one("Transpose", [1, 6, 8, 4], perm=[0, 2, 3, 1])
    for op in "ReduceMean ReduceMax ReduceMin ReduceSum ReduceProd".split():
        found[op.lower()] = one(op, [1, 6], axes=[1, 3], keepdims=0)
        found[f"{op.lower()}_keepdims"] = one(op, [1, 4, 1, 8], axes=[2], keepdims=1)
    found["argmax"] = one("ArgMax", [1, 6, 8], dtype=I64, axis=1, keepdims=0)
    found["argmin"] = one("ArgMin", [1, 4, 6, 1], dtype=I64, axis=3, keepdims=1)
    top = [1, 4, 6, 3]
    found["topk"] = graph([("TopK", ["x", "k"], ["y", "z"], {"axis": 3})], [("y", F, top), ("z", I64, top)],
                          [("k", np.array([3]))])
    found["gather"] = one("Gather", [1, 4, 3, 8], [("i", np.array([1, 5, 2]))], axis=2)
    found["cumsum"] = one("CumSum", constants=[("a", np.array(2, "i4"))], reverse=1)
    pads = ("p", np.array([0, 0, 1, 2, 0, 0, 2, 0]))
    found["pad_constant"] = one("Pad", [1, 4, 9, 10], [pads, ("v", np.array(1.5, "f4"))])
    for mode in ("reflect", "edge"):
        found[f"pad_{mode}"] = one("Pad", [1, 4, 9, 10], [pads], mode=mode)
    found["slice"] = one("Slice", [1, 4, 2, 4], [("s", np.array([5, 0])), ("e", np.array([1, 7])),
                                                 ("a", np.array([2, 3])), ("t", np.array([-2, 2]))])
    found["expand"] = one("Expand", [2, 4, 6, 8], [("s", np.array([2, 4, 6, 8]))], [("x", F, [1, 4, 1, 8])])
    weights = RNG.randn(8, 3).astype("f4")
    found["matmul"] = one("MatMul", [2, 5, 3], [("w", weights)], [("x", F, [2, 5, 8])])
    found["gemm"] = one("Gemm", [5, 3], [("w", weights), ("b", RNG.randn(3).astype("f4"))], [("x", F, [5, 8])])
    window = {"strides": [2, 1], "pads": [1, 0, 0, 1]}
    found["conv"] = one("Conv", [1, 6, 3, 7], [("w", RNG.randn(6, 2, 3, 2).astype("f4")),
                                               ("b", RNG.randn(6).astype("f4"))], dilations=[1, 2], group=2, **window)
    found["maxpool"] = one("MaxPool", [1, 4, 3, 8], kernel_shape=[3, 2], **window)
    found["averagepool"] = one("AveragePool", [1, 4, 3, 8], kernel_shape=[3, 2], **window)
    found["averagepool_with_pad"] = one("AveragePool", [1, 4, 3, 8], kernel_shape=[3, 2], count_include_pad=1, **window)
    for mode in ("nearest", "linear"):
        for centres in ("asymmetric", "half_pixel", "align_corners"):
            found[f"resize_{mode}_{centres}"] = one(
                "Resize", [1, 4, 12, 20], [("r", np.zeros(0, "f4")), ("s", np.array([1, 1, 2, 2.5], "f4"))], mode=mode,
                coordinate_transformation_mode=centres, nearest_mode="floor")
    found["spacetodepth"] = one("SpaceToDepth", [1, 16, 3, 4], blocksize=2)
    found["depthtospace"] = one("DepthToSpace", [1, 1, 12, 16], blocksize=2)
    found["onehot"] = one("OneHot", [5, 7], [("d", np.array([7])), ("v", np.array([0.5, 2], "f4"))], [("x", I64, [5])],
                          axis=-1)
    halves = [1, 4, 6, 4]
    found["split"] = graph([("Split", ["x"], ["y", "z"], {"axis": 3})], [("y", F, halves), ("z", F, halves)])
    parts = [("Abs", ["x"], ["a"], {}), ("Exp", ["x"], ["b"], {})]
    for axis, shape in ((1, [1, 8, 6, 8]), (3, [1, 4, 6, 16])):
        found[f"concat_axis{axis}"] = graph([*parts, ("Concat", ["a", "b"], ["y"], {"axis": axis})], [("y", F, shape)])
    ones = np.ones(4, "f4")
    found["instancenormalization"] = one("InstanceNormalization", constants=[("s", ones), ("b", ones)])
    affine = [("s", RNG.randn(6, 8).astype("f4")), ("b", RNG.randn(6, 8).astype("f4"))]
    found["layernormalization"] = one("LayerNormalization", constants=affine, opset=17, axis=2, epsilon=1e-3)
    found["gatherelements"] = one("GatherElements", [1, 4, 3, 8], [("i", RNG.randint(-6, 6, (1, 4, 3, 8)))], axis=2)
    kept = [("k", np.array([True, False, True, True, False, False]))]
    found["compress"] = one("Compress", [1, 4, 3, 8], kept, axis=2)
    found["compress_flat"] = one("Compress", [3], kept)
    for op, parameters in (("RandomNormal", {"mean": 1.0, "scale": 2.0}),
                           ("RandomUniform", {"low": -1.0, "high": 2.0})):
        found[op.lower()] = graph([(op, [], ["r"], {"shape": SHAPE, "seed": 7.0, **parameters}),
                                   ("Add", ["x", "r"], ["y"], {})], [("y", F, SHAPE)])
    regions = [("r", np.array([[0, 0, 8, 8], [1, 2, 9, 12]], "f4")), ("i", np.array([0, 0]))]
    for mode, samples in (("avg", 2), ("max", 2), ("avg", 0)):
        found[f"roialign_{mode}_{samples}"] = one("RoiAlign", [2, 4, 3, 2], regions, output_height=3, output_width=2,
                                                  sampling_ratio=samples, spatial_scale=0.5, mode=mode)
    for direction in ("forward", "reverse", "bidirectional"):
        for linear in (0, 1):
            found[f"gru_{direction}_{linear}"] = gru(direction, linear)
    return found


def gru(direction, linear, steps=6, batch=2, size=12, hidden=5):
    """A recurrent network; nncase ignores an initial state."""
    count = 2 if direction == "bidirectional" else 1
    shapes = ("w", (count, 3 * hidden, size)), ("r", (count, 3 * hidden, hidden)), ("b", (count, 6 * hidden))
    return graph([("GRU", ["x", "w", "r", "b"], ["y", "h"], {
        "hidden_size": hidden, "linear_before_reset": linear, "direction": direction})],
        [("y", F, [steps, count, batch, hidden]), ("h", F, [count, batch, hidden])],
        [(name, (RNG.randn(*shape) * 0.3).astype("f4")) for name, shape in shapes], [("x", F, [steps, batch, size])])


def input_of(name, shape):
    """Values that suit the operator."""
    if name == "onehot":
        return np.array([1, 6, 0, 3, 2])
    x = np.random.RandomState(1).randn(*shape)
    if name in ("log", "sqrt", "pow"):
        x = np.abs(x) + 0.1
    if name in ("acos", "asin"):
        x = np.tanh(x)
    return (x * 100).astype("i4") if name == "add_int32" else x.astype("f4")


def build(folder, name, source):
    """Compile, simulate and write one case."""
    options = nncase.CompileOptions()
    options.target = "cpu"
    options.dump_ir = options.dump_asm = False
    compiler = nncase.Compiler(options)
    compiler.import_onnx(source, nncase.ImportOptions())
    compiler.compile()
    kmodel = compiler.gencode_tobytes()
    (folder / f"{name}.kmodel").write_bytes(kmodel)  # before it runs: nncase's GRU writes its state into the constants
    simulator = nncase.Simulator()
    simulator.load_model(kmodel)
    x = input_of(name, [int(n) for n in simulator.get_input_tensor(0).shape])
    simulator.set_input_tensor(0, nncase.RuntimeTensor.from_numpy(x))
    simulator.run()
    outputs = [simulator.get_output_tensor(i).to_numpy() for i in range(simulator.outputs_size)]
    np.savez_compressed(folder / f"{name}.npz", x0=x, **{f"y{i}": y for i, y in enumerate(outputs)})


def main(folder, *names):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = cases()
    for name in names or made:
        child = os.fork()  # the compiler keeps state between models
        if child == 0:
            build(folder, name, made[name])
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{name} failed")
    print(f"{len(names or made)} cases, onnx {onnx.__version__}, numpy {np.__version__}")


if __name__ == "__main__":
    main(*sys.argv[1:])
