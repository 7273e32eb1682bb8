// Tensor: a small view of memory that another object owns.
//
// A Tensor is a pointer, a shape of at most four dimensions, strides and a dtype; copying a Tensor copies no
// data. Activations are in memory that the Tape owns (core/tape.h), parameters in memory that a Parameters
// object owns (nn/parameters.h). A Tensor knows no mathematics. Its only connection to autograd is `slot`,
// the index of the gradient of the memory that the Tensor views. Views (reshape, transpose, slice) share the
// slot, so a view needs no node on the tape: the gradient of a view is the same view of the gradient. Read
// next: core/tape.h.
#pragma once

#ifdef __FAST_MATH__
#error "-ffast-math and -Ofast drop NaN checks and reorder sums: inkling must not be built with them"
#endif

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>

#include "core/bf16.h"

namespace inkling {

enum class DType : std::uint8_t { f32, bf16, i32 };

template <class T>
inline constexpr DType dtype_of = DType::f32;
template <>
inline constexpr DType dtype_of<bf16> = DType::bf16;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;

const char* name(DType dtype);
std::int64_t size_bytes(DType dtype);

// Shape: up to four dimensions, outermost first. A scalar has rank 0 and one element.
struct Shape {
  static constexpr int kMaxRank = 4;

  Shape() = default;
  // Error if there are more than four dimensions or a dimension is below -1. A dimension of -1 is allowed for
  // reshape(), which computes this dimension.
  Shape(std::initializer_list<std::int64_t> dims);

  std::int64_t operator[](int axis) const { return dims[static_cast<std::size_t>(axis)]; }
  std::int64_t& operator[](int axis) { return dims[static_cast<std::size_t>(axis)]; }
  std::int64_t numel() const;
  std::int64_t back() const { return rank == 0 ? 1 : (*this)[rank - 1]; }
  // The product of all dimensions except the last; 0 if the last dimension is 0.
  std::int64_t rows() const { return back() == 0 ? 0 : numel() / back(); }
  Shape leading() const;  // the shape without the last dimension; for a scalar, a scalar

  bool operator==(const Shape& other) const;

  std::array<std::int64_t, kMaxRank> dims{};
  int rank = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);  // (4, 64, 768)

class Tensor {
 public:
  static constexpr std::int32_t kNoGradient = -1;

  Tensor() = default;
  // Makes a contiguous view without a gradient, for input data.
  Tensor(float* data, Shape shape) : Tensor(data, shape, DType::f32) {}
  Tensor(std::int32_t* data, Shape shape) : Tensor(data, shape, DType::i32) {}
  Tensor(bf16* data, Shape shape) : Tensor(data, shape, DType::bf16) {}
  Tensor(void* data, Shape shape, DType dtype, std::int32_t slot = kNoGradient);

  const Shape& shape() const { return shape_; }
  std::int64_t dim(int axis) const { return shape_[axis]; }
  std::int64_t stride(int axis) const { return stride_[axis]; }
  int rank() const { return shape_.rank; }
  std::int64_t numel() const { return shape_.numel(); }
  DType dtype() const { return dtype_; }
  std::int32_t slot() const { return slot_; }
  bool has_gradient() const { return slot_ != kNoGradient; }
  bool contiguous() const;
  explicit operator bool() const { return data_ != nullptr; }

  template <class T>  // T is float, bf16 or std::int32_t; Error if the tensor has another dtype
  T* data() const {
    expect_dtype(dtype_of<T>);
    return static_cast<T*>(data_);
  }
  float* f32() const { return data<float>(); }
  std::int32_t* i32() const { return data<std::int32_t>(); }
  const void* raw() const { return data_; }
  float item() const;  // returns the number in an f32 tensor with one element, of any rank

  // These functions return views of the same memory. Their Errors name the shapes.
  Tensor reshape(Shape shape) const;     // Error unless contiguous; one dimension may be -1 (any size)
  Tensor transpose(int a, int b) const;  // swaps two axes, copies nothing
  Tensor slice(int axis, std::int64_t begin, std::int64_t end) const;  // elements [begin, end) of one axis
  Tensor detach() const;                                               // the same data, without gradient

 private:
  void expect_dtype(DType dtype) const;

  void* data_ = nullptr;
  Shape shape_;
  Shape stride_;  // the strides, in elements (not in bytes)
  DType dtype_ = DType::f32;
  std::int32_t slot_ = kNoGradient;
};

// Error unless x has the expected dtype. Its message is for example "op: argument (2, 3): dtype is i32,
// expected f32".
void check_dtype(const char* op, const char* argument, const Tensor& x, DType expected);

}  // namespace inkling
