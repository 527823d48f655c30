// RUN: calocc-opt %s -p balance{interval=8} | filecheck %s
// RUN: calocc-opt %s -p balance{interval=1} | filecheck %s --check-prefix=FAST
// RUN: calocc-opt %s -p 'balance{interval=8 pins="dense.pe=3","dense.simd=4"}' | filecheck %s --check-prefix=PINNED
// RUN: calocc-opt %s -p 'balance{interval=8 pins="dense.pe=2","dense.simd=3"}' | filecheck %s --check-prefix=UNEVEN
// RUN: not calocc-opt %s -p 'balance{interval=8 pins="dense.pe=4"}' 2>&1 | filecheck %s --check-prefix=BAD

// 24 products in eight cycles are three at once, in one cycle all of them; converters match the
// lanes of the ports to those of the matrix. Pins overrule the choice, and need not divide anything.

// CHECK:       %{{.*}} = dataflow.lanes %x {layer = "dense"} : (!dataflow.stream<tensor<8x!fixed.num<u4, 2>>, 8>) -> !dataflow.stream<tensor<8x!fixed.num<u4, 2>>, 1>
// CHECK-NEXT:  %{{.*}} = dataflow.matvec {{.*}} -> !dataflow.stream<tensor<3x!fixed.num<u7, 5>>, 3> {

// FAST-NOT:    dataflow.lanes
// FAST:        dataflow.matvec {{.*}}<tensor<8x!fixed.num<u4, 2>>, 8>) -> !dataflow.stream<tensor<3x!fixed.num<u7, 5>>, 3> {
// FAST-NOT:    dataflow.lanes

// PINNED:      dataflow.lanes %x {{.*}} -> !dataflow.stream<tensor<8x!fixed.num<u4, 2>>, 4>
// PINNED-NEXT: dataflow.matvec {{.*}} -> !dataflow.stream<tensor<3x!fixed.num<u7, 5>>, 3> {

// UNEVEN:      dataflow.lanes %x {{.*}} -> !dataflow.stream<tensor<8x!fixed.num<u4, 2>>, 3>
// UNEVEN-NEXT: dataflow.matvec {{.*}} -> !dataflow.stream<tensor<3x!fixed.num<u7, 5>>, 2> {
// UNEVEN:      dataflow.lanes {{.*}}, 2>) -> !dataflow.stream<tensor<3x!fixed.num<u7, 5>>, 3>

// BAD:         error: option --set dense: pe=4 is more than the 3 that there are

func.func @main(%x: !dataflow.stream<tensor<8x!fixed.num<u4, 2>>, 8>) -> !dataflow.stream<tensor<3x!fixed.num<u7, 5>>, 3> {
  %narrow = dataflow.lanes %x : (!dataflow.stream<tensor<8x!fixed.num<u4, 2>>, 8>) -> !dataflow.stream<tensor<8x!fixed.num<u4, 2>>, 1>
  %m = dataflow.matvec %narrow {weights = #fixed.blob<b5b8b4d29020ea5b1 : tensor<8x3xi8>>, weight_type = !fixed.num<u1, 1>, layer = "dense"} : (!dataflow.stream<tensor<8x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<3x!fixed.num<u7, 5>>, 1> {
  ^bb0(%s: !fixed.num<u7, 5>):
    fixed.yield %s : !fixed.num<u7, 5>
  }
  %wide = dataflow.lanes %m : (!dataflow.stream<tensor<3x!fixed.num<u7, 5>>, 1>) -> !dataflow.stream<tensor<3x!fixed.num<u7, 5>>, 3>
  func.return %wide : !dataflow.stream<tensor<3x!fixed.num<u7, 5>>, 3>
}

{-#
  dialect_resources: {
    fixed: {
      b5b8b4d29020ea5b1: "0x010101010101010101010101010101010101010101010101"
    }
  }
#-}
