/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt, of which loading costs more than all that is said to it. */
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "agent/base/lib.h"

/* clang-format off */
#define QB_VIR_CALLS(X) \
	X(virConnectClose) \
	X(virConnectGetCapabilities) \
	X(virConnectGetLibVersion) \
	X(virConnectGetVersion) \
	X(virConnectListAllDomains) \
	X(virConnectListAllNetworks) \
	X(virConnectListAllStoragePools) \
	X(virConnectOpen) \
	X(virConnectOpenReadOnly) \
	X(virDomainCreateXML) \
	X(virDomainDestroy) \
	X(virDomainFree) \
	X(virDomainGetName) \
	X(virDomainGetSecurityLabel) \
	X(virDomainGetXMLDesc) \
	X(virDomainIsActive) \
	X(virDomainResume) \
	X(virGetLastError) \
	X(virGetLastErrorCode) \
	X(virNetworkCreate) \
	X(virNetworkDefineXML) \
	X(virNetworkDestroy) \
	X(virNetworkFree) \
	X(virNetworkGetAutostart) \
	X(virNetworkGetXMLDesc) \
	X(virNetworkIsActive) \
	X(virNetworkIsPersistent) \
	X(virNetworkListAllPorts) \
	X(virNetworkLookupByName) \
	X(virNetworkPortFree) \
	X(virNetworkPortGetXMLDesc) \
	X(virNetworkSetAutostart) \
	X(virNetworkUndefine) \
	X(virNetworkUpdate) \
	X(virSetErrorFunc) \
	X(virStoragePoolCreate) \
	X(virStoragePoolDefineXML) \
	X(virStoragePoolDelete) \
	X(virStoragePoolDestroy) \
	X(virStoragePoolFree) \
	X(virStoragePoolGetAutostart) \
	X(virStoragePoolGetInfo) \
	X(virStoragePoolGetUUIDString) \
	X(virStoragePoolGetXMLDesc) \
	X(virStoragePoolIsActive) \
	X(virStoragePoolIsPersistent) \
	X(virStoragePoolListAllVolumes) \
	X(virStoragePoolLookupByName) \
	X(virStoragePoolRefresh) \
	X(virStoragePoolSetAutostart) \
	X(virStoragePoolUndefine) \
	X(virStorageVolCreateXML) \
	X(virStorageVolDelete) \
	X(virStorageVolFree) \
	X(virStorageVolGetName) \
	X(virStorageVolGetPath)
/* clang-format on */

QB_VIR_CALLS(QB_LIB_DECLARE)

QB_MUST_CHECK int qb_vir_load(struct qb_error *err);
