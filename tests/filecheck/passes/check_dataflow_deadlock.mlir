// RUN: not calocc-opt %s -p check-dataflow 2>&1 | filecheck %s

// Depths by hand. The slow branch gives nothing before it has taken all twelve elements; the FIFO of
// the other one holds five of them.

// CHECK: error: fifo 'b.{{[0-9]+}}' (depth 5): deadlock: 'fork.0' waits for room in 'b.{{[0-9]+}}', 'concat.2' waits for a beat from {{.*}}, 'buffer.1' waits for a beat from 'a.{{[0-9]+}}'
// CHECK-NEXT: hint: give 'b.{{[0-9]+}}' a depth of {{1[0-9]}}: the beats in flight when nothing blocks

func.func @main(%x: !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<3x8x!fixed.num<u4, 2>>, 1> {
  %a, %b = dataflow.fork %x {depths = array<i64: 2, 5>} : (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>, !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>)
  %t = dataflow.buffer %a {permutation = array<i64: 1, 0>, depths = array<i64: 2>} : (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x3x!fixed.num<u4, 2>>, 1>
  %r = dataflow.reshape %t : (!dataflow.stream<tensor<4x3x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>
  %y = dataflow.concat %r, %b {axis = 1 : i64, depths = array<i64: 2>} : (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>, !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<3x8x!fixed.num<u4, 2>>, 1>
  func.return %y : !dataflow.stream<tensor<3x8x!fixed.num<u4, 2>>, 1>
}
