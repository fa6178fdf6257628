/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest of `prove` is made of: its disk, and what libvirt is told of it. */
#include <endian.h>

#include "agent/host/prove.h"
#include "agent/host/prove_frame.h"
#include "agent/host/xml.h"

enum {
	VOLUME_BYTES = 1 << 20,
	WAIT_TICKS = 3 * 18,   /* of a peer that is there, and asked each half second */
	SILENT_TICKS = 1 * 18, /* where nobody is there to be asked it is enough to send */
	FIRST_SLOT = 4,
};

static void put16(unsigned char *to, size_t value)
{
	uint16_t le = htole16((uint16_t)value);

	memcpy(to, &le, sizeof(le));
}

void qb_proof_disk(const struct qb_proof_trial *trial,
		   unsigned char ret[QB_GUEST_SECTORS * QB_GUEST_SECTOR])
{
	unsigned char frame[QB_PROOF_FRAME_MAX];
	unsigned char *given = ret + QB_GUEST_GIVEN * QB_GUEST_SECTOR;
	const char *peer = trial->net ? trial->net->peer : NULL;
	size_t len = qb_proof_frame(trial->mac, peer, frame);

	memset(ret, 0, QB_GUEST_SECTORS * QB_GUEST_SECTOR);
	memcpy(ret, qb_prove_guest, QB_GUEST_CODE_SECTORS * QB_GUEST_SECTOR);
	memcpy(given, trial->mark, sizeof(trial->mark));
	put16(given + QB_GUEST_GIVEN_TICKS, peer ? WAIT_TICKS : SILENT_TICKS);
	put16(given + QB_GUEST_GIVEN_LENGTH, len);
	put16(given + QB_GUEST_GIVEN_NIC, trial->net ? trial->nic : UINT16_MAX);
	memcpy(given + QB_GUEST_GIVEN_MAC, trial->mac, sizeof(trial->mac));
	memcpy(given + QB_GUEST_GIVEN_FRAME, frame, len);
}

bool qb_proof_is_disk(const unsigned char *disk)
{
	return memcmp(disk, qb_prove_guest, QB_GUEST_CODE_SECTORS * QB_GUEST_SECTOR) == 0;
}

char *qb_proof_volume_xml(const struct qb_proof_trial *trial)
{
	_cleanup_free_ char *bytes = qb_asprintf("%d", VOLUME_BYTES);
	struct qb_xml *root = qb_xml_add(NULL, "volume", NULL);
	char *text;

	qb_xml_add(root, "name", trial->name);
	qb_xml_set(qb_xml_add(root, "capacity", NULL), "unit", "bytes");
	qb_xml_part(root, "capacity")->text = QB_TAKE_PTR(bytes);
	qb_xml_set(qb_xml_add(qb_xml_add(root, "target", NULL), "format", NULL), "type", "raw");
	text = qb_xml_write(root);
	qb_xml_free(root);
	return text;
}

/* On the root bus, where a virtio device has the legacy interface (virtio_pci_realize() of QEMU).
 */
static void add_address(struct qb_xml *device, size_t number)
{
	struct qb_xml *address = qb_xml_add(device, "address", NULL);
	char slot[sizeof("0x00")];

	snprintf(slot, sizeof(slot), "0x%02zx", FIRST_SLOT + number);

	qb_xml_set(address, "type", "pci");
	qb_xml_set(address, "domain", "0x0000");
	qb_xml_set(address, "bus", "0x00");
	qb_xml_set(address, "slot", slot);
	qb_xml_set(address, "function", "0x0");
}

static void add_disk(struct qb_xml *devices, const struct qb_proof_trial *trial, size_t number)
{
	struct qb_xml *disk = qb_xml_add(devices, "disk", NULL), *e;
	_cleanup_free_ char *order = qb_asprintf("%zu", number + 1);
	const char dev[] = {'v', 'd', (char)('a' + number), '\0'};

	qb_xml_set(disk, "type", "volume");
	qb_xml_set(disk, "device", "disk");
	e = qb_xml_add(disk, "driver", NULL);
	qb_xml_set(e, "name", "qemu");
	qb_xml_set(e, "type", "raw");
	e = qb_xml_add(disk, "source", NULL);
	qb_xml_set(e, "pool", trial->pool);
	qb_xml_set(e, "volume", trial->name);
	e = qb_xml_add(disk, "target", NULL);
	qb_xml_set(e, "dev", dev);
	qb_xml_set(e, "bus", "virtio");
	/* The order in which the firmware counts them. */
	qb_xml_set(qb_xml_add(disk, "boot", NULL), "order", order);
	add_address(disk, 2 * number);
}

static void add_interface(struct qb_xml *devices, const struct qb_proof_trial *trial, size_t number)
{
	const unsigned char *m = trial->mac;
	_cleanup_free_ char *mac =
		qb_asprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	const char *type = trial->net->network ? "network" : "bridge";
	struct qb_xml *interface = qb_xml_add(devices, "interface", NULL);

	qb_xml_set(interface, "type", type);
	qb_xml_set(qb_xml_add(interface, "mac", NULL), "address", mac);
	qb_xml_set(qb_xml_add(interface, "source", NULL), type,
		   trial->net->network ? trial->net->network : trial->net->name);
	qb_xml_set(qb_xml_add(interface, "model", NULL), "type", "virtio");
	/* It needs no firmware of its own, which would only take its time. */
	qb_xml_set(qb_xml_add(interface, "rom", NULL), "enabled", "no");
	add_address(interface, 2 * number + 1);
}

char *qb_proof_domain_xml(const struct qb_proof *proof, const struct qb_proof_trial *const *trials,
			  size_t n)
{
	static const char *const events[] = {"on_poweroff", "on_reboot", "on_crash"};
	struct qb_xml *root = qb_xml_add(NULL, "domain", NULL), *e;
	char *text;

	qb_xml_set(root, "type", proof->emulated ? "qemu" : "kvm");
	qb_xml_add(root, "name", trials[0]->name);
	qb_xml_set(qb_xml_add(root, "memory", "32"), "unit", "MiB");
	qb_xml_add(root, "vcpu", "1");
	e = qb_xml_add(root, "os", NULL);
	qb_xml_set(qb_xml_set(qb_xml_add(e, "type", "hvm"), "arch", "x86_64"), "machine", "q35");
	/* By ACPI it switches itself off. */
	e = qb_xml_add(root, "features", NULL);
	qb_xml_add(e, "acpi", NULL);
	qb_xml_add(e, "apic", NULL);
	for (size_t i = 0; i < QB_ARRAY_SIZE(events); i++)
		qb_xml_add(root, events[i], "destroy");
	e = qb_xml_add(root, "devices", NULL);
	for (size_t i = 0; i < n; i++) {
		add_disk(e, trials[i], i);
		if (trials[i]->net)
			add_interface(e, trials[i], i);
	}
	qb_xml_set(qb_xml_set(qb_xml_add(e, "controller", NULL), "type", "usb"), "model", "none");
	qb_xml_set(qb_xml_add(e, "memballoon", NULL), "model", "none");
	text = qb_xml_write(root);
	qb_xml_free(root);
	return text;
}
