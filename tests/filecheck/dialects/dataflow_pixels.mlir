// RUN: calocc-opt %s | calocc-opt | filecheck %s

// Beats of several pixels, with lanes and pixels that divide nothing.

// CHECK:      func.func @main(%x: !dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 3 x 2>) {
// CHECK-NEXT:   %{{.*}}, %{{.*}} = dataflow.fork %x : {{.*}} -> (!dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 3 x 2>, !dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 3 x 2>)
// CHECK-NEXT:   %{{.*}} = dataflow.lanes %{{.*}} : {{.*}} -> !dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 4>
// CHECK-NEXT:   %{{.*}} = dataflow.window {{.*}}, 3 x 2>) -> !dataflow.stream<tensor<2x3x20x!fixed.num<s8, 3>>, 20 x 2>
// CHECK-NEXT:   %{{.*}} = dataflow.reduce {{.*}}, 20 x 2>) -> !dataflow.stream<tensor<2x3x5x!fixed.num<s8, 3>>, 5 x 2> {
// CHECK:        %{{.*}} = dataflow.map {{.*}}, 4>) -> !dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 4> {
// CHECK:        %{{.*}} = dataflow.reshape {{.*}} -> !dataflow.stream<tensor<28x5x!fixed.num<s8, 3>>, 4>

func.func @main(%x: !dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 3 x 2>) {
  %a, %b = dataflow.fork %x : (!dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 3 x 2>) -> (!dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 3 x 2>, !dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 3 x 2>)
  %c = dataflow.lanes %a : (!dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 3 x 2>) -> !dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 4>
  %w = dataflow.window %b {size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>, fill = 0 : i64} : (!dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 3 x 2>) -> !dataflow.stream<tensor<2x3x20x!fixed.num<s8, 3>>, 20 x 2>
  %r = dataflow.reduce %w {kind = #qnn<pooling max>} : (!dataflow.stream<tensor<2x3x20x!fixed.num<s8, 3>>, 20 x 2>) -> !dataflow.stream<tensor<2x3x5x!fixed.num<s8, 3>>, 5 x 2> {
  ^bb0(%s: !fixed.num<s8, 3>):
    fixed.yield %s : !fixed.num<s8, 3>
  }
  %m = dataflow.map %c : (!dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 4>) -> !dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 4> {
  ^bb0(%p: !fixed.num<s8, 3>):
    fixed.yield %p : !fixed.num<s8, 3>
  }
  %f = dataflow.reshape %m : (!dataflow.stream<tensor<4x7x5x!fixed.num<s8, 3>>, 4>) -> !dataflow.stream<tensor<28x5x!fixed.num<s8, 3>>, 4>
  func.return
}
