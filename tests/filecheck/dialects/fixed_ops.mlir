// RUN: calocc-opt %s | calocc-opt | filecheck %s

// Every scalar op in its pretty form; what is printed parses again and prints the same.

func.func @scalars(%a: !fixed.num<s8, 3>, %b: !fixed.num<u6, 2>) -> !fixed.num<s9, 4> {
  %c = fixed.constant <b7fdf162a7c905233 : tensor<3xi8>> : !fixed.num<s4, 1>
  %one = fixed.constant <b4bf5122f344554c5 : tensor<i8>> : !fixed.num<u1, 1>
  %sum = fixed.add %a, %b : (!fixed.num<s8, 3>, !fixed.num<u6, 2>) -> !fixed.num<s9, 4>
  %difference = fixed.sub %a, %b : (!fixed.num<s8, 3>, !fixed.num<u6, 2>) -> !fixed.num<s9, 4>
  %product = fixed.mul %a, %c : (!fixed.num<s8, 3>, !fixed.num<s4, 1>) -> !fixed.num<s12, 4>
  %most = fixed.max %a, %b : (!fixed.num<s8, 3>, !fixed.num<u6, 2>) -> !fixed.num<s8, 3>
  %least = fixed.min %a, %b : (!fixed.num<s8, 3>, !fixed.num<u6, 2>) -> !fixed.num<s8, 3>
  %positive = fixed.relu %a : (!fixed.num<s8, 3>) -> !fixed.num<u7, 2>
  %zero = fixed.is_zero %a : (!fixed.num<s8, 3>) -> !fixed.num<u1, 1>
  %line = fixed.affine %a, %c, %one : (!fixed.num<s8, 3>, !fixed.num<s4, 1>, !fixed.num<u1, 1>) -> !fixed.num<s13, 5>
  %leaky = fixed.leaky_relu %a, %c : (!fixed.num<s8, 3>, !fixed.num<s4, 1>) -> !fixed.num<s11, 3>
  %gate = fixed.gate %a, %a, %c : (!fixed.num<s8, 3>, !fixed.num<s8, 3>, !fixed.num<s4, 1>) -> !fixed.num<s12, 4>
  %cast = fixed.quantize %a {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat_sym>} : (!fixed.num<s8, 3>) -> !fixed.num<s4, 2>
  %steps = fixed.threshold %a {thresholds = #fixed.blob<ba85257114790e10e : tensor<1x3xi8>>, base = -1 : i64} : (!fixed.num<s8, 3>) -> !fixed.num<s3, 3>
  %table = fixed.lookup %b {table = #fixed.blob<b8c8e61147b27d442 : tensor<64xi8>>, origin = 0 : i64} : (!fixed.num<u6, 2>) -> !fixed.num<u7, 3>
  func.return %sum : !fixed.num<s9, 4>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @scalars(%a: !fixed.num<s8, 3>, %b: !fixed.num<u6, 2>) -> !fixed.num<s9, 4> {
// CHECK-NEXT:     %c = fixed.constant <b7fdf162a7c905233 : tensor<3xi8>> : !fixed.num<s4, 1>
// CHECK-NEXT:     %one = fixed.constant <b4bf5122f344554c5 : tensor<i8>> : !fixed.num<u1, 1>
// CHECK-NEXT:     %sum = fixed.add %a, %b : (!fixed.num<s8, 3>, !fixed.num<u6, 2>) -> !fixed.num<s9, 4>
// CHECK-NEXT:     %difference = fixed.sub %a, %b : (!fixed.num<s8, 3>, !fixed.num<u6, 2>) -> !fixed.num<s9, 4>
// CHECK-NEXT:     %product = fixed.mul %a, %c : (!fixed.num<s8, 3>, !fixed.num<s4, 1>) -> !fixed.num<s12, 4>
// CHECK-NEXT:     %most = fixed.max %a, %b : (!fixed.num<s8, 3>, !fixed.num<u6, 2>) -> !fixed.num<s8, 3>
// CHECK-NEXT:     %least = fixed.min %a, %b : (!fixed.num<s8, 3>, !fixed.num<u6, 2>) -> !fixed.num<s8, 3>
// CHECK-NEXT:     %positive = fixed.relu %a : (!fixed.num<s8, 3>) -> !fixed.num<u7, 2>
// CHECK-NEXT:     %zero = fixed.is_zero %a : (!fixed.num<s8, 3>) -> !fixed.num<u1, 1>
// CHECK-NEXT:     %line = fixed.affine %a, %c, %one : (!fixed.num<s8, 3>, !fixed.num<s4, 1>, !fixed.num<u1, 1>) -> !fixed.num<s13, 5>
// CHECK-NEXT:     %leaky = fixed.leaky_relu %a, %c : (!fixed.num<s8, 3>, !fixed.num<s4, 1>) -> !fixed.num<s11, 3>
// CHECK-NEXT:     %gate = fixed.gate %a, %a, %c : (!fixed.num<s8, 3>, !fixed.num<s8, 3>, !fixed.num<s4, 1>) -> !fixed.num<s12, 4>
// CHECK-NEXT:     %cast = fixed.quantize %a {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat_sym>} : (!fixed.num<s8, 3>) -> !fixed.num<s4, 2>
// CHECK-NEXT:     %steps = fixed.threshold %a {thresholds = #fixed.blob<ba85257114790e10e : tensor<1x3xi8>>, base = -1 : i64} : (!fixed.num<s8, 3>) -> !fixed.num<s3, 3>
// CHECK-NEXT:     %table = fixed.lookup %b {table = #fixed.blob<b8c8e61147b27d442 : tensor<64xi8>>, origin = 0 : i64} : (!fixed.num<u6, 2>) -> !fixed.num<u7, 3>
// CHECK-NEXT:     func.return %sum : !fixed.num<s9, 4>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      b7fdf162a7c905233: "0xf90007",
      b4bf5122f344554c5: "0x01",
      ba85257114790e10e: "0xfc0009",
      b8c8e61147b27d442: "0x00020406080a0c0e10121416181a1c1e20222426282a2c2e30323436383a3c3e40424446484a4c4e50525456585a5c5e60626466686a6c6e70727476787a7c7e"
    }
  }
#-}
