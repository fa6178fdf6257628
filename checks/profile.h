/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkManager's profiles, as nm-settings-keyfile(5) has them; for checks/ only. */
#pragma once

#include "checks/judging.h"

/* Where they are; those in /run are made anew at each start, by netplan or the initrd. Only in /etc
 * may a name be without its ending. */
#define QB_PROFILES_ETC "/etc/NetworkManager/system-connections/*"
#define QB_PROFILES_RUN "/run/NetworkManager/system-connections/*.nmconnection"
#define QB_PROFILES_LIB "/usr/lib/NetworkManager/system-connections/*.nmconnection"
#define QB_PROFILES QB_PROFILES_ETC, QB_PROFILES_RUN, QB_PROFILES_LIB

#define QB_IFCFG "/etc/sysconfig/network-scripts/ifcfg-*"

struct qb_profile {
	const char *path, *file, *text; /* of the reading; file is its last component */
	char *type, *uuid, *interface;  /* NULL where it does not say */
	bool automatic;                 /* NetworkManager starts it by itself */
	bool open;                      /* others may read it: NetworkManager leaves it out
					 * (nms_keyfile_utils_check_file_permissions_stat()) */
	long priority;
};

struct qb_profiles {
	struct qb_profile *v;
	size_t n;
	char *why; /* why some could not be read; NULL when all were */
};

void qb_profiles_read(const struct qb_check_input *in, struct qb_profiles *ret);
void qb_profiles_done(struct qb_profiles *profiles);
#define _cleanup_profiles_ QB_CLEANUP(qb_profiles_done)

/* The caller frees it; NULL where it does not say. ethernet's other name is known. */
char *qb_profile_value(const struct qb_profile *p, const char *section, const char *key);
/* It makes a bridge of that name. */
bool qb_profile_is_bridge(const struct qb_profile *p, const char *bridge);
/* It is for that NIC: by its name, its MAC address or its slot; or for any. */
bool qb_profile_is_for(const struct qb_profile *p, const struct qb_link *l);
/* An ifcfg file that is for that link and is started at boot. */
bool qb_ifcfg_is_for(const struct qb_reading *x, const char *link);
