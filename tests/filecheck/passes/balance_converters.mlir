// RUN: calocc-opt %s -p 'balance{interval=12 pins="a.pe=6","b.simd=4"}' | filecheck %s
// RUN: calocc-opt %s -p 'balance{interval=3 pins="a.pe=6","b.simd=4"}' | filecheck %s --check-prefix=FAST
// RUN: calocc-opt %s -p 'balance{interval=12 pins="a.pe=2","b.simd=12"}' | filecheck %s --check-prefix=ONE

// From 6 lanes to 4 at once. Where only SIMD is pinned, PE is the least that is fast enough with it.

// CHECK:      dataflow.lanes %a {{.*}}, 6>) -> !dataflow.stream<{{.*}}, 4>
// CHECK-NEXT: dataflow.matvec {{.*}}layer = "b"{{.*}}, 4>) -> !dataflow.stream<tensor<4x{{.*}}, 1>

// FAST:      dataflow.lanes %a {{.*}}, 6>) -> !dataflow.stream<{{.*}}, 4>
// FAST-NEXT: dataflow.matvec {{.*}}layer = "b"{{.*}}, 4>) -> !dataflow.stream<tensor<4x{{.*}}, 4>

// ONE:      dataflow.lanes %a {{.*}}, 2>) -> !dataflow.stream<{{.*}}, 12>
// ONE-NEXT: dataflow.matvec {{.*}}layer = "b"{{.*}}, 12>) -> !dataflow.stream<tensor<4x{{.*}}, 1>

func.func @main(%x: !dataflow.stream<tensor<1x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<u8, 6>>, 4> {
  %a = dataflow.matvec %x {weights = #fixed.blob<b3ee5f0d83bf791f0 : tensor<1x12xi8>>, weight_type = !fixed.num<u1, 1>, layer = "a"} : (!dataflow.stream<tensor<1x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<12x!fixed.num<u4, 2>>, 1> {
  ^bb0(%s: !fixed.num<u4, 2>):
    fixed.yield %s : !fixed.num<u4, 2>
  }
  %b = dataflow.matvec %a {weights = #fixed.blob<b5bf90435cd45d047 : tensor<12x4xi8>>, weight_type = !fixed.num<u1, 1>, layer = "b"} : (!dataflow.stream<tensor<12x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<u8, 6>>, 1> {
  ^bb0(%s: !fixed.num<u8, 6>):
    fixed.yield %s : !fixed.num<u8, 6>
  }
  %wide = dataflow.lanes %b : (!dataflow.stream<tensor<4x!fixed.num<u8, 6>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<u8, 6>>, 4>
  func.return %wide : !dataflow.stream<tensor<4x!fixed.num<u8, 6>>, 4>
}

{-#
  dialect_resources: {
    fixed: {
      b3ee5f0d83bf791f0: "0x010101010101010101010101",
      b5bf90435cd45d047: "0x010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101"
    }
  }
#-}
