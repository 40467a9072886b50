//! The devices that the driver shows to this process, without opening one.

use cudarc::driver::{result, sys};

use crate::device::{devices, said};
use crate::{Cache, GpuError, Nvrtc};

/// The oldest compute capability that the kernels are compiled for.
const OLDEST: (i32, i32) = (7, 5);

/// CUDA 13, which makes the kernels' machine code, as a driver gives its version: that of the 580 series.
const DRIVER: i32 = 13000;

/// A device as the driver shows it. CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER have been heeded: its number is the one
/// that opens it, and may not be the one of other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The number in `cuda:N`.
    pub index: usize,
    /// `NVIDIA H100 80GB HBM3`
    pub name: String,
    /// What it is called whatever its number, by NVML as well; zeros where the driver is too old for the kernels.
    pub uuid: [u8; 16],
    /// Compute capability: `(9, 0)`.
    pub capability: (i32, i32),
    /// CUDA's version that the driver is made for: `13020` is 13.2.
    pub driver: i32,
}

/// All devices that the driver shows: none where CUDA_VISIBLE_DEVICES hides them all. One that does not say what it is is
/// left out.
///
/// # Errors
/// There is no driver, or it does not answer.
pub fn shown() -> Result<Vec<Shown>, GpuError> {
    let count = match devices() {
        Err(GpuError::NoDevice) => 0,
        count => count?,
    };
    if count == 0 {
        return Ok(Vec::new());
    }
    let driver = driver_version()?;
    let one = |index| -> Result<Shown, GpuError> {
        let device = result::device::get(index as i32).map_err(said)?;
        // A driver that is too old for the kernels may not have the function, which ends the program.
        let uuid = if driver < DRIVER {
            [0; 16]
        } else {
            result::device::get_uuid(device).map_err(said)?.bytes.map(|byte| byte as u8)
        };
        Ok(Shown {
            index,
            name: result::device::get_name(device).map_err(said)?,
            uuid,
            capability: capability(device)?,
            driver,
        })
    };
    Ok((0..count).filter_map(|index| one(index).ok()).collect())
}

impl Shown {
    /// Why the kernels cannot run on it, whoever tries; `None` where nothing is in the way.
    pub fn fault(&self, cache: &Cache) -> Option<GpuError> {
        suits(&self.name, self.capability, self.driver).err().or_else(|| {
            let architecture = architecture(self.capability);
            if cache.has_all(&architecture) {
                return None;
            }
            match Nvrtc::is_there() {
                Ok(true) => None,
                Ok(false) => Some(GpuError::NoNvrtc { architecture }),
                Err(error) => Some(error),
            }
        })
    }

    /// As NVML and CUDA_VISIBLE_DEVICES write it, for a whole device (`GPU`) or a part of one (`MIG`).
    pub fn uuid_text(&self, kind: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let [a, b, c, d, e] = [0..4, 4..6, 6..8, 8..10, 10..16].map(|part| hex(&self.uuid[part]));
        format!("{kind}-{a}-{b}-{c}-{d}-{e}")
    }
}

/// Whether kernels of this program run on such a device at all.
pub(crate) fn suits(name: &str, capability: (i32, i32), driver: i32) -> Result<(), GpuError> {
    if capability < OLDEST {
        let (major, minor) = capability;
        return Err(GpuError::OldDevice { device: name.to_owned(), capability: format!("{major}.{minor}") });
    }
    if driver < DRIVER {
        return Err(GpuError::OldDriver { cuda: format!("{}.{}", driver / 1000, driver % 1000 / 10) });
    }
    Ok(())
}

/// `sm_90`
pub(crate) fn architecture((major, minor): (i32, i32)) -> String {
    format!("sm_{major}{minor}")
}

/// Of a device of the driver's.
pub(crate) fn capability(device: sys::CUdevice) -> Result<(i32, i32), GpuError> {
    use sys::CUdevice_attribute as Attribute;
    // SAFETY: the device is one of the driver's.
    let attribute = |which| unsafe { result::device::get_attribute(device, which) }.map_err(said);
    let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    Ok((major, attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?))
}

/// What CUDA the driver is made for; it must have been initialised.
pub(crate) fn driver_version() -> Result<i32, GpuError> {
    let mut version = 0;
    // SAFETY: the driver is there, and writes one number to where it is told.
    unsafe { sys::cuDriverGetVersion(&mut version) }.result().map_err(said)?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_run_the_kernels_is_told_from_what_can() {
        assert_eq!(suits("H100", (9, 0), 13000), Ok(()));
        assert_eq!(suits("T4", (7, 5), 13020), Ok(()));
        let old = suits("Tesla V100", (7, 0), 13000).unwrap_err().to_string();
        assert!(old.contains("Tesla V100") && old.contains("7.0") && old.contains("7.5"), "{old}");
        let driver = suits("H100", (9, 0), 12080).unwrap_err().to_string();
        assert!(driver.contains("CUDA 12.8") && driver.contains("580"), "{driver}");
    }

    #[test]
    fn a_uuid_is_written_as_nvml_writes_it() {
        let uuid = std::array::from_fn(|n| (n as u8) << 4 | 10);
        let shown = Shown { index: 0, name: String::new(), uuid, capability: (9, 0), driver: 13000 };
        assert_eq!(shown.uuid_text("GPU"), "GPU-0a1a2a3a-4a5a-6a7a-8a9a-aabacadaeafa");
    }
}
