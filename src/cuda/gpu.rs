//! What a device is to the code that computes on it: memory, and launches of kernels.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::rc::Rc;

use linf_dist::Shape;

use crate::{GpuError, Kernel};

/// A device. All that it does is done in the order in which it was asked for.
///
/// # Safety
/// What [`Gpu::allocate`] gives is memory of that size until it is freed, which nobody else uses.
pub unsafe trait Gpu {
    /// Its name, for people: `NVIDIA H100 80GB HBM3`.
    fn name(&self) -> String;

    /// How many blocks it can run at once is a multiple of this.
    fn multiprocessors(&self) -> usize;

    /// The address of so many bytes, all 0, on 256 bytes at least.
    ///
    /// # Errors
    /// Out of memory, or the device is lost.
    fn allocate(&self, bytes: usize) -> Result<u64, GpuError>;

    /// Gives back what [`Gpu::allocate`] gave.
    ///
    /// # Safety
    /// Nobody uses the memory from here on.
    unsafe fn free(&self, address: u64);

    /// Copies to the device, and is done with `from` when it returns.
    ///
    /// # Safety
    /// `to` is the address of so many allocated bytes.
    ///
    /// # Errors
    /// The device is lost.
    unsafe fn write(&self, to: u64, from: &[u8]) -> Result<(), GpuError>;

    /// Copies from the device once all before is done.
    ///
    /// # Safety
    /// `from` is the address of so many allocated bytes.
    ///
    /// # Errors
    /// The device is lost, or a kernel before has failed.
    unsafe fn read(&self, from: u64, to: &mut [u8]) -> Result<(), GpuError>;

    /// Runs a kernel on `grid` blocks.
    ///
    /// # Safety
    /// The arguments are those of the kernel, in its order, and all memory it reads and writes is allocated.
    ///
    /// # Errors
    /// It cannot be compiled or started.
    unsafe fn launch(&self, kernel: Kernel, grid: [usize; 2], arguments: &[Argument]) -> Result<(), GpuError>;

    /// Waits until all is done.
    ///
    /// # Errors
    /// A kernel has failed.
    fn wait(&self) -> Result<(), GpuError>;
}

/// An argument of a kernel, as it lies in memory.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// An address on the device.
    Pointer(u64),
    /// `long long`
    Long(i64),
    /// `int`
    Int(i32),
    /// `float`
    Float(f32),
    /// `struct Shape`: batch, inputs, outputs.
    Sizes([i64; 3]),
    /// A struct of up to ten floats.
    Floats([f32; 10]),
    /// A struct of up to ten ints.
    Ints([i32; 10]),
}

impl Argument {
    /// No address.
    pub const NOTHING: Argument = Argument::Pointer(0);

    /// Where the value lies.
    pub fn place(&self) -> *mut c_void {
        match self {
            Argument::Pointer(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Long(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Int(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Float(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Sizes(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Floats(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Ints(value) => std::ptr::from_ref(value).cast_mut().cast(),
        }
    }

    /// A length or a number.
    pub(crate) fn long(value: usize) -> Argument {
        Argument::Long(value as i64)
    }
}

impl From<Shape> for Argument {
    fn from(shape: Shape) -> Argument {
        Argument::Sizes([shape.batch as i64, shape.inputs as i64, shape.outputs as i64])
    }
}

/// What arrays hold: plain numbers, for which any bits are a value.
pub trait Element: Copy + Default + sealed::Plain + 'static {}

mod sealed {
    pub trait Plain {}
    impl Plain for f32 {}
    impl Plain for u32 {}
    impl Plain for i32 {}
    impl Plain for u8 {}
}

impl Element for f32 {}
impl Element for u32 {}
impl Element for i32 {}
impl Element for u8 {}

/// Numbers on a device; freed when dropped.
pub struct Array<T: Element> {
    gpu: Rc<dyn Gpu>,
    /// 0 where nothing is held.
    address: u64,
    len: usize,
    holds: PhantomData<T>,
}

impl<T: Element> Array<T> {
    /// `len` zeros.
    ///
    /// # Errors
    /// Those of [`Gpu::allocate`].
    pub fn zeros(gpu: &Rc<dyn Gpu>, len: usize) -> Result<Array<T>, GpuError> {
        // An address even for nothing, so that kernels may be told one.
        let address = gpu.allocate(len.max(1) * size_of::<T>())?;
        Ok(Array { gpu: Rc::clone(gpu), address, len, holds: PhantomData })
    }

    /// As many zeros as `other` has numbers, beside it.
    ///
    /// # Errors
    /// Those of [`Gpu::allocate`].
    pub fn like(other: &Array<T>) -> Result<Array<T>, GpuError> {
        Array::zeros(&other.gpu, other.len)
    }

    /// A copy of what the host has.
    ///
    /// # Errors
    /// Those of [`Gpu::allocate`] and [`Gpu::write`].
    pub fn of(gpu: &Rc<dyn Gpu>, values: &[T]) -> Result<Array<T>, GpuError> {
        let mut array = Array::zeros(gpu, values.len())?;
        array.write(values)?;
        Ok(array)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes room for `len` at least; what was there is lost where there was less.
    ///
    /// # Errors
    /// Those of [`Gpu::allocate`].
    pub fn reserve(&mut self, len: usize) -> Result<(), GpuError> {
        if self.len < len {
            // What it holds may be what is needed.
            self.release();
            *self = Array::zeros(&self.gpu, len)?;
        }
        Ok(())
    }

    /// Gives its memory back: it holds nothing from here on.
    pub fn release(&mut self) {
        if self.address != 0 {
            // SAFETY: the address is that of `zeros`, and nothing else knows it; what was launched runs before.
            unsafe { self.gpu.free(self.address) }
            (self.address, self.len) = (0, 0);
        }
    }

    /// Overwrites the first ones.
    ///
    /// # Errors
    /// Those of [`Gpu::write`].
    ///
    /// # Panics
    /// If there are fewer.
    pub fn write(&mut self, values: &[T]) -> Result<(), GpuError> {
        assert!(values.len() <= self.len, "{} values for an array of {}", values.len(), self.len);
        if values.is_empty() {
            return Ok(());
        }
        // SAFETY: numbers without padding are bytes; the array has room for them.
        unsafe {
            let bytes = std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values));
            self.gpu.write(self.address, bytes)
        }
    }

    /// Reads the first ones.
    ///
    /// # Errors
    /// Those of [`Gpu::read`].
    ///
    /// # Panics
    /// If there are fewer.
    pub fn read(&self, to: &mut [T]) -> Result<(), GpuError> {
        assert!(to.len() <= self.len, "{} values of an array of {}", to.len(), self.len);
        if to.is_empty() {
            return Ok(());
        }
        // SAFETY: any bytes are numbers; the array has as many.
        unsafe {
            let bytes = std::slice::from_raw_parts_mut(to.as_mut_ptr().cast(), size_of_val(to));
            self.gpu.read(self.address, bytes)
        }
    }

    /// A copy for the host.
    ///
    /// # Errors
    /// Those of [`Gpu::read`].
    pub fn to_vec(&self) -> Result<Vec<T>, GpuError> {
        let mut values = vec![T::default(); self.len];
        self.read(&mut values)?;
        Ok(values)
    }

    /// The address, for a kernel that uses `len` of them at most: none where it uses none of what was released.
    ///
    /// # Panics
    /// If there are fewer: the kernel would go beyond them.
    pub(crate) fn pointer(&self, len: usize) -> Argument {
        assert!(len <= self.len, "a kernel that uses {len} values of an array of {}", self.len);
        Argument::Pointer(self.address)
    }

    /// The address of one of them.
    ///
    /// # Panics
    /// If there are fewer.
    pub(crate) fn pointer_to(&self, index: usize) -> Argument {
        assert!(index < self.len, "number {index} of an array of {}", self.len);
        Argument::Pointer(self.address + (index * size_of::<T>()) as u64)
    }
}

impl<T: Element> Drop for Array<T> {
    fn drop(&mut self) {
        self.release();
    }
}
