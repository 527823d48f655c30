// RUN: calocc-opt %s | calocc-opt | filecheck %s

// Every process in its pretty form.

func.func @main(
  %x: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>,
  %c: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>,
  %d: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>,
  %e: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>,
  %f: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>,
  %g: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>,
  %h: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>,
  %i: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>,
  %j: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>,
  %k: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 1>,
  %l: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 1>,
  %n: !dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 2>,
  %m: !dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 4>
) {
  %a, %b = dataflow.fork %x {layer = "fork"} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>)
  %mapped = dataflow.map %a, %b {depths = array<i64: 3>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<s10, 5>>, 2> {
  ^bb0(%p: !fixed.num<s8, 3>, %q: !fixed.num<s8, 3>):
    %o = fixed.constant <b4ad851760a468d64 : tensor<2xi8>> : !fixed.num<s3, -2>
    %sum = fixed.add %p, %q : (!fixed.num<s8, 3>, !fixed.num<s8, 3>) -> !fixed.num<s9, 4>
    %more = fixed.add %sum, %o : (!fixed.num<s9, 4>, !fixed.num<s3, -2>) -> !fixed.num<s10, 5>
    fixed.yield %more : !fixed.num<s10, 5>
  }
  %windows = dataflow.window %c {size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>, fill = 0 : i64} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 4>
  %sums = dataflow.matvec %windows {weights = #fixed.blob<bc3c9bdbe87f90885 : tensor<8x1xi8>>, weight_type = !fixed.num<s2, 2>, in_logic} : (!dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 4>) -> !dataflow.stream<tensor<2x2x1x!fixed.num<s4, 4>>, 1> {
  ^bb0(%s: !fixed.num<s11, 6>):
    %r = fixed.quantize %s {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>} : (!fixed.num<s11, 6>) -> !fixed.num<s4, 4>
    fixed.yield %r : !fixed.num<s4, 4>
  }
  %apart = dataflow.depthwise %n {weights = #fixed.blob<bbaa281679175c956 : tensor<4x2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<2x2x4x!fixed.num<s14, 9>>, 4> {
  ^bb0(%s: !fixed.num<s14, 9>):
    fixed.yield %s : !fixed.num<s14, 9>
  }
  %most = dataflow.reduce %m {kind = #qnn<pooling max>} : (!dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 4>) -> !dataflow.stream<tensor<2x2x4x!fixed.num<s8, 3>>, 4> {
  ^bb0(%s: !fixed.num<s8, 3>):
    fixed.yield %s : !fixed.num<s8, 3>
  }
  %narrow = dataflow.lanes %d : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 1>
  %turned = dataflow.buffer %k {permutation = array<i64: 2, 0, 1>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<2x4x4x!fixed.num<s8, 3>>, 1>
  %soft = dataflow.softmax %l {table = #fixed.blob<bdd4a10a158223392 : tensor<3xi8>>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<u8, 0>>, 1>
  %both = dataflow.concat %e, %f {axis = 2 : i64} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x4x4x!fixed.num<s8, 3>>, 2>
  %padded = dataflow.pad %g {padding = array<i64: 1, 0, 0, 2>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<5x6x2x!fixed.num<s8, 3>>, 2>
  %large = dataflow.upsample %h {factors = array<i64: 2, 1>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<8x4x2x!fixed.num<s8, 3>>, 2>
  %flat = dataflow.reshape %i : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<32x!fixed.num<s8, 3>>, 2>
  %some = dataflow.slice %j {axis = 1 : i64, start = 1 : i64, stop = 3 : i64} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x2x2x!fixed.num<s8, 3>>, 2>
  func.return
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, %c: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, %d: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, %e: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, %f: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, %g: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, %h: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, %i: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, %j: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, %k: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 1>, %l: !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 1>, %n: !dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 2>, %m: !dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 4>) {
// CHECK-NEXT:     %a, %b = dataflow.fork %x {layer = "fork"} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>)
// CHECK-NEXT:     %mapped = dataflow.map %a, %b {depths = array<i64: 3>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<s10, 5>>, 2> {
// CHECK-NEXT:     ^bb0(%p: !fixed.num<s8, 3>, %q: !fixed.num<s8, 3>):
// CHECK-NEXT:       %o = fixed.constant <b4ad851760a468d64 : tensor<2xi8>> : !fixed.num<s3, -2>
// CHECK-NEXT:       %sum = fixed.add %p, %q : (!fixed.num<s8, 3>, !fixed.num<s8, 3>) -> !fixed.num<s9, 4>
// CHECK-NEXT:       %more = fixed.add %sum, %o : (!fixed.num<s9, 4>, !fixed.num<s3, -2>) -> !fixed.num<s10, 5>
// CHECK-NEXT:       fixed.yield %more : !fixed.num<s10, 5>
// CHECK-NEXT:     }
// CHECK-NEXT:     %windows = dataflow.window %c {size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>, fill = 0 : i64} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 4>
// CHECK-NEXT:     %sums = dataflow.matvec %windows {weights = #fixed.blob<bc3c9bdbe87f90885 : tensor<8x1xi8>>, weight_type = !fixed.num<s2, 2>, in_logic} : (!dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 4>) -> !dataflow.stream<tensor<2x2x1x!fixed.num<s4, 4>>, 1> {
// CHECK-NEXT:     ^bb0(%s: !fixed.num<s11, 6>):
// CHECK-NEXT:       %r = fixed.quantize %s {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>} : (!fixed.num<s11, 6>) -> !fixed.num<s4, 4>
// CHECK-NEXT:       fixed.yield %r : !fixed.num<s4, 4>
// CHECK-NEXT:     }
// CHECK-NEXT:     %apart = dataflow.depthwise %n {weights = #fixed.blob<bbaa281679175c956 : tensor<4x2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<2x2x4x!fixed.num<s14, 9>>, 4> {
// CHECK-NEXT:     ^bb0(%s_1: !fixed.num<s14, 9>):
// CHECK-NEXT:       fixed.yield %s_1 : !fixed.num<s14, 9>
// CHECK-NEXT:     }
// CHECK-NEXT:     %most = dataflow.reduce %m {kind = #qnn<pooling max>} : (!dataflow.stream<tensor<2x2x8x!fixed.num<s8, 3>>, 4>) -> !dataflow.stream<tensor<2x2x4x!fixed.num<s8, 3>>, 4> {
// CHECK-NEXT:     ^bb0(%s_2: !fixed.num<s8, 3>):
// CHECK-NEXT:       fixed.yield %s_2 : !fixed.num<s8, 3>
// CHECK-NEXT:     }
// CHECK-NEXT:     %narrow = dataflow.lanes %d : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 1>
// CHECK-NEXT:     %turned = dataflow.buffer %k {permutation = array<i64: 2, 0, 1>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<2x4x4x!fixed.num<s8, 3>>, 1>
// CHECK-NEXT:     %soft = dataflow.softmax %l {table = #fixed.blob<bdd4a10a158223392 : tensor<3xi8>>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<u8, 0>>, 1>
// CHECK-NEXT:     %both = dataflow.concat %e, %f {axis = 2 : i64} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>, !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x4x4x!fixed.num<s8, 3>>, 2>
// CHECK-NEXT:     %padded = dataflow.pad %g {padding = array<i64: 1, 0, 0, 2>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<5x6x2x!fixed.num<s8, 3>>, 2>
// CHECK-NEXT:     %large = dataflow.upsample %h {factors = array<i64: 2, 1>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<8x4x2x!fixed.num<s8, 3>>, 2>
// CHECK-NEXT:     %flat = dataflow.reshape %i : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<32x!fixed.num<s8, 3>>, 2>
// CHECK-NEXT:     %some = dataflow.slice %j {axis = 1 : i64, start = 1 : i64, stop = 3 : i64} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x2x2x!fixed.num<s8, 3>>, 2>
// CHECK-NEXT:     func.return
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      b4ad851760a468d64: "0x03fd",
      bc3c9bdbe87f90885: "0x01010101ffffffff",
      bbaa281679175c956: "0xf8f9fafbfcfdfeff0001020304050607",
      bdd4a10a158223392: "0x64250e"
    }
  }
#-}
