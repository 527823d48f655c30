// RUN: calocc-opt %s -p fuse | filecheck %s

// The bias and the cast move into the epilogue of the matrix; the sum of two streams stays.

func.func @main(%x: !dataflow.stream<tensor<2x!fixed.num<u4, 2>>, 1>, %z: !dataflow.stream<tensor<1x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<1x!fixed.num<s5, 5>>, 1> {
  %m = dataflow.matvec %x {weights = #fixed.blob<ba12871fee210fb86 : tensor<2x1xi8>>, weight_type = !fixed.num<u2, 2>, layer = "dense"} : (!dataflow.stream<tensor<2x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<1x!fixed.num<u6, 4>>, 1> {
  ^bb0(%s: !fixed.num<u6, 4>):
    fixed.yield %s : !fixed.num<u6, 4>
  }
  %b = dataflow.map %m {layer = "bias"} : (!dataflow.stream<tensor<1x!fixed.num<u6, 4>>, 1>) -> !dataflow.stream<tensor<1x!fixed.num<u7, 5>>, 1> {
  ^bb0(%s: !fixed.num<u6, 4>):
    %c = fixed.constant <b084fed08b978af4d : tensor<1xi8>> : !fixed.num<u2, 2>
    %t = fixed.add %s, %c : (!fixed.num<u6, 4>, !fixed.num<u2, 2>) -> !fixed.num<u7, 5>
    fixed.yield %t : !fixed.num<u7, 5>
  }
  %q = dataflow.map %b {layer = "act"} : (!dataflow.stream<tensor<1x!fixed.num<u7, 5>>, 1>) -> !dataflow.stream<tensor<1x!fixed.num<u3, 3>>, 1> {
  ^bb0(%s: !fixed.num<u7, 5>):
    %t = fixed.quantize %s {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>} : (!fixed.num<u7, 5>) -> !fixed.num<u3, 3>
    fixed.yield %t : !fixed.num<u3, 3>
  }
  %y = dataflow.map %q, %z {layer = "sum"} : (!dataflow.stream<tensor<1x!fixed.num<u3, 3>>, 1>, !dataflow.stream<tensor<1x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<1x!fixed.num<s5, 5>>, 1> {
  ^bb0(%s: !fixed.num<u3, 3>, %t: !fixed.num<s4, 4>):
    %u = fixed.add %s, %t : (!fixed.num<u3, 3>, !fixed.num<s4, 4>) -> !fixed.num<s5, 5>
    fixed.yield %u : !fixed.num<s5, 5>
  }
  func.return %y : !dataflow.stream<tensor<1x!fixed.num<s5, 5>>, 1>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: !dataflow.stream<tensor<2x!fixed.num<u4, 2>>, 1>, %z: !dataflow.stream<tensor<1x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<1x!fixed.num<s5, 5>>, 1> {
// CHECK-NEXT:     %q = dataflow.matvec %x {weights = #fixed.blob<ba12871fee210fb86 : tensor<2x1xi8>>, weight_type = !fixed.num<u2, 2>, layer = "dense"} : (!dataflow.stream<tensor<2x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<1x!fixed.num<u3, 3>>, 1> {
// CHECK-NEXT:     ^bb0(%s: !fixed.num<u6, 4>):
// CHECK-NEXT:       %c = fixed.constant <b084fed08b978af4d : tensor<1xi8>> : !fixed.num<u2, 2>
// CHECK-NEXT:       %t = fixed.add %s, %c : (!fixed.num<u6, 4>, !fixed.num<u2, 2>) -> !fixed.num<u7, 5>
// CHECK-NEXT:       %t_1 = fixed.quantize %t {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>} : (!fixed.num<u7, 5>) -> !fixed.num<u3, 3>
// CHECK-NEXT:       fixed.yield %t_1 : !fixed.num<u3, 3>
// CHECK-NEXT:     }
// CHECK-NEXT:     %y = dataflow.map %q, %z {layer = "sum"} : (!dataflow.stream<tensor<1x!fixed.num<u3, 3>>, 1>, !dataflow.stream<tensor<1x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<1x!fixed.num<s5, 5>>, 1> {
// CHECK-NEXT:     ^bb0(%s_1: !fixed.num<u3, 3>, %t_2: !fixed.num<s4, 4>):
// CHECK-NEXT:       %u = fixed.add %s_1, %t_2 : (!fixed.num<u3, 3>, !fixed.num<s4, 4>) -> !fixed.num<s5, 5>
// CHECK-NEXT:       fixed.yield %u : !fixed.num<s5, 5>
// CHECK-NEXT:     }
// CHECK-NEXT:     func.return %y : !dataflow.stream<tensor<1x!fixed.num<s5, 5>>, 1>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      ba12871fee210fb86: "0x0102",
      b084fed08b978af4d: "0x03"
    }
  }
#-}
