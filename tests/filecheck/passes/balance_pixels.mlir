// RUN: calocc-opt %s -p balance{interval=70} | filecheck %s --check-prefix=ONE
// RUN: calocc-opt %s -p balance{interval=40} | filecheck %s --check-prefix=TWO
// RUN: calocc-opt %s -p 'balance{interval=70 pins="conv.pixels=3","conv.simd=4"}' | filecheck %s --check-prefix=PINNED

// One pixel after the other takes a window 61 cycles: the image, its padding and one to end. Where
// that is too slow, or a user asks for it, several go through the layer at once.

// ONE-NOT:     dataflow.lanes
// ONE:         dataflow.window %x {{.*}} -> !dataflow.stream<tensor<4x8x9x!fixed.num<u4, 2>>, 9>
// ONE-NEXT:    dataflow.matvec {{.*}}, 9>) -> !dataflow.stream<tensor<4x8x2x!fixed.num<u8, 6>>, 1> {

// TWO:         dataflow.lanes %x {{.*}} -> !dataflow.stream<tensor<4x8x1x!fixed.num<u4, 2>>, 1 x 2>
// TWO-NEXT:    dataflow.window {{.*}} -> !dataflow.stream<tensor<4x8x9x!fixed.num<u4, 2>>, 9 x 2>
// TWO-NEXT:    dataflow.matvec {{.*}}, 9 x 2>) -> !dataflow.stream<tensor<4x8x2x!fixed.num<u8, 6>>, 1 x 2> {
// TWO:         dataflow.lanes {{.*}}, 1 x 2>) -> !dataflow.stream<tensor<4x8x2x!fixed.num<u8, 6>>, 2>

// PINNED:      dataflow.lanes %x {{.*}} -> !dataflow.stream<tensor<4x8x1x!fixed.num<u4, 2>>, 1 x 3>
// PINNED-NEXT: dataflow.window {{.*}} -> !dataflow.stream<tensor<4x8x9x!fixed.num<u4, 2>>, 4 x 3>
// PINNED-NEXT: dataflow.matvec {{.*}}, 4 x 3>) -> !dataflow.stream<tensor<4x8x2x!fixed.num<u8, 6>>, 2 x 3> {

func.func @main(%x: !dataflow.stream<tensor<4x8x1x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x8x2x!fixed.num<u8, 6>>, 2> {
  %w = dataflow.window %x {size = array<i64: 3, 3>, strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, fill = 0 : i64, layer = "conv"} : (!dataflow.stream<tensor<4x8x1x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x8x9x!fixed.num<u4, 2>>, 1>
  %m = dataflow.matvec %w {weights = #fixed.blob<b48341d92e2c078cb : tensor<9x2xi8>>, weight_type = !fixed.num<u1, 1>, layer = "conv"} : (!dataflow.stream<tensor<4x8x9x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x8x2x!fixed.num<u8, 6>>, 1> {
  ^bb0(%s: !fixed.num<u8, 6>):
    fixed.yield %s : !fixed.num<u8, 6>
  }
  %wide = dataflow.lanes %m : (!dataflow.stream<tensor<4x8x2x!fixed.num<u8, 6>>, 1>) -> !dataflow.stream<tensor<4x8x2x!fixed.num<u8, 6>>, 2>
  func.return %wide : !dataflow.stream<tensor<4x8x2x!fixed.num<u8, 6>>, 2>
}

{-#
  dialect_resources: {
    fixed: {
      b48341d92e2c078cb: "0x010101010101010101010101010101010101"
    }
  }
#-}
