// RUN: calocc-opt %s -p 'lower-to-fixed{policy=budget max-error=0.51},dce' | filecheck %s

// Within 0.51 of the model: two bits, 3/4 in the place of 0.7, move two rounded results by an LSB of
// 1/2, and the factor that no quantizer follows keeps the 8 bits that are the fewest tried.

func.func @main(%y: tensor<1xf32> {calocc.name = "y"}) -> (tensor<1xf32> {calocc.name = "a"}, tensor<1xf32> {calocc.name = "b"}) {
  %j = qnn.quantize %y {quantizer = #qnn.quantizer<"quantized_bits(4,2,alpha=1.0)">} : (tensor<1xf32>) -> tensor<1xf32>
  %scale = qnn.constant <b633938f09cacdbde : tensor<1xf64>> : tensor<1xf32>
  %scaled = qnn.mul %j, %scale {layer = "scale"} : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
  %a = qnn.quantize %scaled {quantizer = #qnn.quantizer<"quantized_bits(4,2,alpha=1.0)">, layer = "a"} : (tensor<1xf32>) -> tensor<1xf32>
  %b = qnn.mul %j, %scale {layer = "b"} : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
  func.return %a, %b : tensor<1xf32>, tensor<1xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%y: tensor<1x!fixed.num<s4, 3>> {calocc.name = "y", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<1x!fixed.num<s4, 3>> {calocc.name = "a", calocc.bound = 5.000000e-01 : f64}, tensor<1x!fixed.num<s12, 3>> {calocc.name = "b", calocc.bound = 0.0031250000031248226 : f64}) {
// CHECK-NEXT:     %0 = qnn.constant <b084fed08b978af4d : tensor<1xi8>> {layer = "scale"} : tensor<1x!fixed.num<u2, 0>>
// CHECK-NEXT:     %scaled = qnn.mul %y, %0 {layer = "scale"} : (tensor<1x!fixed.num<s4, 3>>, tensor<1x!fixed.num<u2, 0>>) -> tensor<1x!fixed.num<s6, 3>>
// CHECK-NEXT:     %a = qnn.quantize %scaled {points = 16 : i64, differing_points = 2 : i64, constant_bits = 2 : i64, largest_lsb = 1 : i64, rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>, layer = "a"} : (tensor<1x!fixed.num<s6, 3>>) -> tensor<1x!fixed.num<s4, 3>>
// CHECK-NEXT:     %1 = qnn.constant <b474e37ee6bf0255b : tensor<1xi16>> {layer = "b"} : tensor<1x!fixed.num<u8, 0>>
// CHECK-NEXT:     %b = qnn.mul %y, %1 {rounded_to_bits = 8 : i64, layer = "b"} : (tensor<1x!fixed.num<s4, 3>>, tensor<1x!fixed.num<u8, 0>>) -> tensor<1x!fixed.num<s12, 3>>
// CHECK-NEXT:     func.return %a, %b : tensor<1x!fixed.num<s4, 3>>, tensor<1x!fixed.num<s12, 3>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      b633938f09cacdbde: "0x666666666666e63f"
    }
  }
#-}
