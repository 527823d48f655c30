// RUN: calocc-opt %s -p lower-to-fixed,canonicalize,dce,narrow-widths,partition-streams,fuse | filecheck %s

// Bilinear upsampling by 2 and 3 as the importer writes it: sums of numbers s4 with whole weights of
// 4 down and 3 across take 8 bits; the factor 1/12 and the quantizer become thresholds of the same
// process.

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: !dataflow.stream<tensor<3x2x1x!fixed.num<s4, 2>>, 1> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<6x6x1x!fixed.num<u3, 1>>, 1> {calocc.name = "act", calocc.bound = 0.000000e+00 : f64}) {
// CHECK-NEXT:     %0 = dataflow.interpolate %x {factors = array<i64: 2, 3>, layer = "up"} : (!dataflow.stream<tensor<3x2x1x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<6x6x1x!fixed.num<u3, 1>>, 1> {
// CHECK-NEXT:     ^bb0(%1: !fixed.num<s8, 6>):
// CHECK-NEXT:       %2 = fixed.threshold %1 {thresholds = #fixed.blob<b4054444bf48e7599 : tensor<1x7xi8>>, base = 0 : i64} : (!fixed.num<s8, 6>) -> !fixed.num<u3, 1>
// CHECK-NEXT:       fixed.yield %2 : !fixed.num<u3, 1>
// CHECK-NEXT:     }
// CHECK-NEXT:     func.return %0 : !dataflow.stream<tensor<6x6x1x!fixed.num<u3, 1>>, 1>
// CHECK-NEXT:   }
// CHECK-NEXT: }

builtin.module {
  func.func @main(%x: tensor<3x2x1xf32> {calocc.name = "x"}) -> (tensor<6x6x1xf32> {calocc.name = "act"}) {
    %q = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_bits(4,1,alpha=1.0)">, layer = "q"} : (tensor<3x2x1xf32>) -> tensor<3x2x1xf32>
    %up = qnn.interpolate %q {factors = array<i64: 2, 3>, layer = "up"} : (tensor<3x2x1xf32>) -> tensor<6x6x1xf32>
    %up_1 = qnn.constant <b66227ab71fbe4dae : tensor<f64>> {layer = "up"} : tensor<f32>
    %up_2 = qnn.constant <baf5570f5a1810b7a : tensor<f64>> {layer = "up"} : tensor<f32>
    %up_3 = qnn.affine %up, %up_1, %up_2 {layer = "up"} : (tensor<6x6x1xf32>, tensor<f32>, tensor<f32>) -> tensor<6x6x1xf32>
    %act = qnn.quantize %up_3 {quantizer = #qnn.quantizer<"quantized_relu(3,1)">, layer = "act"} : (tensor<6x6x1xf32>) -> tensor<6x6x1xf32>
    func.return %act : tensor<6x6x1xf32>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b66227ab71fbe4dae: "0x555555555555b53f",baf5570f5a1810b7a: "0x0000000000000000"
    }
  }
#-}
