// RUN: calocc-opt %s -p lower-to-fixed,dce | filecheck %s

// The inputs' quantizers become the formats of the ports; the host rounds. Then, from a to d:
// a: Weights (0.5, -1) on inputs from 0 to 3.75 give sums from -3.75 to 1.875, which take six bits,
//    three of them after the point; the cast keeps four.
// b: Four bits, 11/16, are the fewest with which all sixteen operands give the same rounded results
//    as with 0.7.
// c: A function that is no arithmetic becomes thresholds.
// d: A product that no quantizer follows takes the 24 bits of a float32, and says so.

func.func @main(%x: tensor<2xf32> {calocc.name = "x"}, %y: tensor<1xf32> {calocc.name = "y"}) -> (tensor<1xf32> {calocc.name = "a"}, tensor<1xf32> {calocc.name = "b"}, tensor<1xf32> {calocc.name = "c"}, tensor<1xf32> {calocc.name = "d"}) {
  %i = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_relu(4,2)">} : (tensor<2xf32>) -> tensor<2xf32>
  %j = qnn.quantize %y {quantizer = #qnn.quantizer<"quantized_bits(4,2,alpha=1.0)">} : (tensor<1xf32>) -> tensor<1xf32>

  %w = qnn.constant <b031a5e93e726630d : tensor<2x1xf32>> : tensor<2x1xf32>
  %k = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(3,0,alpha=1.0)">} : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %dense = qnn.dense %i, %k {layer = "dense"} : (tensor<2xf32>, tensor<2x1xf32>) -> tensor<1xf32>
  %a = qnn.quantize %dense {quantizer = #qnn.quantizer<"quantized_bits(4,1,alpha=1.0)">, layer = "a"} : (tensor<1xf32>) -> tensor<1xf32>

  %scale = qnn.constant <b633938f09cacdbde : tensor<1xf64>> : tensor<1xf32>
  %scaled = qnn.mul %j, %scale {layer = "scale"} : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
  %b = qnn.quantize %scaled {quantizer = #qnn.quantizer<"quantized_bits(3,2,alpha=1.0)">, layer = "b"} : (tensor<1xf32>) -> tensor<1xf32>

  %tanh = qnn.function "tanh" %j {layer = "tanh"} : (tensor<1xf32>) -> tensor<1xf32>
  %c = qnn.quantize %tanh {quantizer = #qnn.quantizer<"quantized_bits(2,0,alpha=1.0)">, layer = "c"} : (tensor<1xf32>) -> tensor<1xf32>

  %d = qnn.mul %j, %scale {layer = "d"} : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
  func.return %a, %b, %c, %d : tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: tensor<2x!fixed.num<u4, 2>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}, %y: tensor<1x!fixed.num<s4, 3>> {calocc.name = "y", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<1x!fixed.num<s4, 2>> {calocc.name = "a", calocc.bound = 0.000000e+00 : f64}, tensor<1x!fixed.num<s3, 3>> {calocc.name = "b", calocc.bound = 0.000000e+00 : f64}, tensor<1x!fixed.num<s2, 1>> {calocc.name = "c", calocc.bound = 0.000000e+00 : f64}, tensor<1x!fixed.num<s28, 3>> {calocc.name = "d", calocc.bound = 4.7683715690360536e-08 : f64}) {
// CHECK-NEXT:     %0 = qnn.constant <b6077f477043ae8ce : tensor<2x1xi8>> {layer = "qnn.quantize"} : tensor<2x1x!fixed.num<s2, 1>>
// CHECK-NEXT:     %dense = qnn.dense %x, %0 {layer = "dense"} : (tensor<2x!fixed.num<u4, 2>>, tensor<2x1x!fixed.num<s2, 1>>) -> tensor<1x!fixed.num<s6, 3>>
// CHECK-NEXT:     %a = qnn.quantize %dense {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>, layer = "a"} : (tensor<1x!fixed.num<s6, 3>>) -> tensor<1x!fixed.num<s4, 2>>
// CHECK-NEXT:     %1 = qnn.constant <be7cf46a078fed4fa : tensor<1xi8>> {layer = "scale"} : tensor<1x!fixed.num<u4, 0>>
// CHECK-NEXT:     %scaled = qnn.mul %y, %1 {layer = "scale"} : (tensor<1x!fixed.num<s4, 3>>, tensor<1x!fixed.num<u4, 0>>) -> tensor<1x!fixed.num<s8, 3>>
// CHECK-NEXT:     %b = qnn.quantize %scaled {points = 16 : i64, differing_points = 0 : i64, constant_bits = 4 : i64, rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>, layer = "b"} : (tensor<1x!fixed.num<s8, 3>>) -> tensor<1x!fixed.num<s3, 3>>
// CHECK-NEXT:     %2 = qnn.threshold %y {points = 16 : i64, differing_points = 0 : i64, thresholds = #fixed.blob<b942e1e2a66a427b6 : tensor<1x3xi8>>, base = -2 : i64, layer = "c"} : (tensor<1x!fixed.num<s4, 3>>) -> tensor<1x!fixed.num<s2, 1>>
// CHECK-NEXT:     %3 = qnn.constant <bd283574725f9b20e : tensor<1xi32>> {layer = "d"} : tensor<1x!fixed.num<u24, 0>>
// CHECK-NEXT:     %d = qnn.mul %y, %3 {rounded_to_bits = 24 : i64, layer = "d"} : (tensor<1x!fixed.num<s4, 3>>, tensor<1x!fixed.num<u24, 0>>) -> tensor<1x!fixed.num<s28, 3>>
// CHECK-NEXT:     func.return %a, %b, %2, %d : tensor<1x!fixed.num<s4, 2>>, tensor<1x!fixed.num<s3, 3>>, tensor<1x!fixed.num<s2, 1>>, tensor<1x!fixed.num<s28, 3>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      b031a5e93e726630d: "0x0000003f000080bf",
      b633938f09cacdbde: "0x666666666666e63f"
    }
  }
#-}
