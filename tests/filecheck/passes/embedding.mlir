// RUN: calocc-opt %s -p hoist-quantize,lower-to-fixed,dce,partition-streams | filecheck %s

// The quantizer moves into the table, whose three rows are (0.25, -1), (1.75, 1.25), (0.5, 0.25)
// afterwards: no result needs more bits. Indices of two bits reach one row more, of zeros.

func.func @main(%x: tensor<4xf32> {calocc.name = "x"}) -> (tensor<8xf32> {calocc.name = "y"}) {
  %i = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_bits(2,2,keep_negative=0,alpha=1.0)">} : (tensor<4xf32>) -> tensor<4xf32>
  %w = qnn.constant <b12c258ce5d21ead5 : tensor<3x2xf32>> {layer = "words"} : tensor<3x2xf32>
  %e = qnn.embedding %i, %w {layer = "words"} : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  %f = qnn.reshape %e {layer = "flat"} : (tensor<4x2xf32>) -> tensor<8xf32>
  %y = qnn.quantize %f {quantizer = #qnn.quantizer<"quantized_bits(4,1,alpha=1.0)">, layer = "cast"} : (tensor<8xf32>) -> tensor<8xf32>
  func.return %y : tensor<8xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: !dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 4> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<8x!fixed.num<s4, 2>>, 8> {calocc.name = "y", calocc.bound = 0.000000e+00 : f64}) {
// CHECK-NEXT:     %x_1 = dataflow.lanes %x {layer = "x"} : (!dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 4>) -> !dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 1>
// CHECK-NEXT:     %f = dataflow.embedding %x_1 {table = #fixed.blob<ba21c0a9853733aa0 : tensor<3x2xi8>>, layer = "words"} : (!dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<4x2x!fixed.num<s4, 2>>, 1>
// CHECK-NEXT:     %f_1 = dataflow.reshape %f {layer = "flat"} : (!dataflow.stream<tensor<4x2x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<8x!fixed.num<s4, 2>>, 1>
// CHECK-NEXT:     %0 = dataflow.lanes %f_1 {layer = "output"} : (!dataflow.stream<tensor<8x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<8x!fixed.num<s4, 2>>, 8>
// CHECK-NEXT:     func.return %0 : !dataflow.stream<tensor<8x!fixed.num<s4, 2>>, 8>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      b12c258ce5d21ead5: "0x9a99993e000080bf000000409a99993f0000003fb81e853e"
    }
  }
#-}
