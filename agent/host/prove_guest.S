/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest of `prove`: what a disk begins with, in real mode, for a PC with SeaBIOS. It writes the
 * mark that it was given back to its disk, sends the frame that it was given by a virtio network
 * device (the legacy interface of Virtual I/O Device 1.2, section 4.1.4.8), waits for a frame to its
 * own MAC, writes that to its disk, too, and goes on with the next disk as if that had been booted;
 * after the last one it switches itself off. What is in the frames it does not know. The sectors
 * after this code are described in agent/host/prove_guest.h.
 */
#if defined(__x86_64__) || defined(__i386__)

#include "agent/host/prove_guest.h"

#define LOADED 0x7c00
#define GIVEN (LOADED + QB_GUEST_GIVEN * QB_GUEST_SECTOR)
#define RESULT (LOADED + QB_GUEST_RESULT * QB_GUEST_SECTOR)

#define TICKS 0x046c       /* the BIOS counts 18.2 of them a second */
#define RESEND 9

/* Each ring has a segment of its own: its address as the device counts, in pages, and as we do. */
#define RX_PAGE 0x10
#define RX_SEGMENT 0x1000
#define TX_PAGE 0x20
#define TX_SEGMENT 0x2000
#define BUFFER_SEGMENT 0x3000 /* of received frames: so many of 2 KiB, with their header */
#define BUFFERS 8
#define BUFFER_BYTES 2048
#define HEADER_BYTES 10       /* struct virtio_net_hdr without merged buffers */
#define DESCRIPTOR_NEXT 1
#define DESCRIPTOR_WRITE 2

/* Of the legacy interface, behind BAR 0. */
#define V_FEATURES 4
#define V_QUEUE_PAGE 8
#define V_QUEUE_SIZE 12
#define V_QUEUE 14
#define V_NOTIFY 16
#define V_STATUS 18

	.section .rodata.qb_prove_guest, "a"
	.globl qb_prove_guest
	.globl qb_prove_guest_end
	.code16
qb_prove_guest:
#define AT(label) (LOADED + label - qb_prove_guest)
	ljmp	$0, $AT(start)
start:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$LOADED, %sp
	sti
	cld
	movb	%dl, AT(drive)
	movw	$AT(packet_read), %si
	movb	$0x42, %ah
	int	$0x13
	jc	next
	jmp	loaded

/* What runs here is overwritten by the same. */
next:
	movb	AT(drive), %dl
	incb	%dl
	pushw	%dx
	movw	$AT(packet_first), %si
	movb	$0x42, %ah
	int	$0x13
	popw	%dx
	jc	off
	ljmp	$0, $LOADED

/* Interrupt 13h, functions 42h and 43h: what is read or written, where to, and from which sector. */
	.balign	4
packet_read:
	.byte	16, 0
	.word	QB_GUEST_SECTORS - 1, LOADED + QB_GUEST_SECTOR, 0
	.quad	1
packet_first:
	.byte	16, 0
	.word	1, LOADED, 0
	.quad	0
packet_write:
	.byte	16, 0
	.word	1, RESULT, 0
	.quad	QB_GUEST_RESULT
drive:	.byte	0
started_at: .word 0
sent_at: .word 0
sent:	.word	0
taken:	.word	0
rx_available: .word 0
rx_used: .word	0
tx_available: .word 0
rx_mask: .word 0

/* Interrupt 15h, function 5307h (APM 1.2): all devices off. */
off:
	movw	$0x5307, %ax
	movw	$1, %bx
	movw	$3, %cx
	int	$0x15
1:	hlt
	jmp	1b

/* %al: the stage that was reached. */
write_result:
	movb	%al, (RESULT + QB_GUEST_RESULT_STAGE)
	movb	AT(drive), %dl
	movw	$AT(packet_write), %si
	movw	$0x4300, %ax
	int	$0x13
	jc	next
	ret

	.org	qb_prove_guest + QB_GUEST_SECTOR - 2
	.word	0xaa55

loaded:
	movw	$GIVEN, %si
	movw	$RESULT, %di
	movw	$(QB_GUEST_MARK_BYTES / 2), %cx
	rep movsw
	movb	$QB_GUEST_STARTED, %al
	call	write_result

	/* PCI BIOS: find device 1af4:1000, the one that belongs to this disk. */
	movw	$0xb102, %ax
	movw	$0x1000, %cx
	movw	$0x1af4, %dx
	movw	(GIVEN + QB_GUEST_GIVEN_NIC), %si
	int	$0x1a
	jc	next
	movw	$0xb10a, %ax	/* BAR 0 */
	movw	$0x10, %di
	int	$0x1a
	jc	next
	testb	$1, %cl		/* of memory: a modern device alone */
	jz	next
	andw	$0xfffc, %cx
	movw	%cx, %bp
	movw	$0xb109, %ax	/* command: I/O and bus master */
	movw	$4, %di
	int	$0x1a
	jc	next
	orw	$5, %cx
	movw	$0xb10c, %ax
	int	$0x1a
	jc	next

	movb	$0, %al
	call	status
	movb	$1, %al		/* acknowledged */
	call	status
	movb	$3, %al		/* and there is a driver */
	call	status
	leaw	V_FEATURES(%bp), %dx
	xorl	%eax, %eax	/* which needs no feature */
	outl	%eax, %dx

	/* The queue of received frames: each buffer is a header and what is behind it. */
	xorw	%ax, %ax
	movw	$RX_PAGE, %cx
	movw	$RX_SEGMENT, %bx
	call	queue
	movw	%bx, AT(rx_mask)
	movw	%si, AT(rx_available)
	movw	%di, AT(rx_used)
	xorw	%di, %di
	movl	$(BUFFER_SEGMENT << 4), %eax
	xorw	%cx, %cx
1:	movl	%eax, %es:(%di)
	movl	$HEADER_BYTES, %es:8(%di)
	movw	$(DESCRIPTOR_NEXT | DESCRIPTOR_WRITE), %es:12(%di)
	incw	%cx
	movw	%cx, %es:14(%di)
	leal	HEADER_BYTES(%eax), %edx
	movl	%edx, %es:16(%di)
	movl	$(BUFFER_BYTES - HEADER_BYTES), %es:24(%di)
	movw	$DESCRIPTOR_WRITE, %es:28(%di)
	addl	$BUFFER_BYTES, %eax
	addw	$32, %di
	movw	%cx, %dx
	decw	%dx
	movw	%dx, %es:4(%si)	/* the ring of what is available, behind flags and index */
	addw	$2, %si
	incw	%cx
	cmpw	$(2 * BUFFERS), %cx
	jb	1b
	movw	AT(rx_available), %si
	movw	$BUFFERS, %es:2(%si)

	/* The queue of frames to be sent: a header of zeros, and the one frame. */
	movw	$1, %ax
	movw	$TX_PAGE, %cx
	movw	$TX_SEGMENT, %bx
	call	queue
	movw	%si, AT(tx_available)
	movl	$AT(zeros), %es:0
	movl	$HEADER_BYTES, %es:8
	movw	$DESCRIPTOR_NEXT, %es:12
	movw	$1, %es:14
	movl	$(GIVEN + QB_GUEST_GIVEN_FRAME), %es:16
	movzwl	(GIVEN + QB_GUEST_GIVEN_LENGTH), %eax
	movl	%eax, %es:24
	/* Each entry of the ring of what is available is descriptor 0, as the segment is zeros. */

	movb	$7, %al		/* and it is ready */
	call	status
	leaw	V_NOTIFY(%bp), %dx
	xorw	%ax, %ax
	outw	%ax, %dx
	movw	TICKS, %ax
	movw	%ax, AT(started_at)
	jmp	send

wait:
	hlt			/* the timer goes on */
	call	receive
	movw	TICKS, %ax
	movw	%ax, %dx
	subw	AT(started_at), %ax
	cmpw	(GIVEN + QB_GUEST_GIVEN_TICKS), %ax
	jae	silent
	subw	AT(sent_at), %dx
	cmpw	$RESEND, %dx
	jb	wait
send:
	movw	$TX_SEGMENT, %bx
	movw	%bx, %es
	movw	AT(tx_available), %si
	incw	%es:2(%si)
	leaw	V_NOTIFY(%bp), %dx
	movw	$1, %ax
	outw	%ax, %dx
	movw	TICKS, %ax
	movw	%ax, AT(sent_at)
	jmp	wait

silent:
	movb	$QB_GUEST_SENT, %al
/* The device gives up the rings, which the next one is to have. */
done:
	call	write_result
	movb	$0, %al
	call	status
	jmp	next

/* %al: the device's status. */
status:
	leaw	V_STATUS(%bp), %dx
	outb	%al, %dx
	ret

/*
 * Gives the device queue %ax at page %cx, which is segment %bx; that is left in %es, where the ring
 * of what is available begins in %si, that of what is used in %di, and the mask of either is %bx.
 */
queue:
	movw	%bx, %es
	pushw	%cx
	pushw	%ax
	xorw	%di, %di
	xorw	%ax, %ax
	movw	$0x8000, %cx
	rep stosw
	popw	%ax
	leaw	V_QUEUE(%bp), %dx
	outw	%ax, %dx
	leaw	V_QUEUE_SIZE(%bp), %dx
	inw	%dx, %ax
	movw	%ax, %si
	shlw	$4, %si
	movw	%ax, %di
	addw	%di, %di
	addw	%si, %di
	addw	$(6 + 4095), %di
	andw	$0xf000, %di
	decw	%ax
	movw	%ax, %bx
	movw	$1, %es:(%si)	/* no interrupts */
	popw	%cx
	movzwl	%cx, %eax
	leaw	V_QUEUE_PAGE(%bp), %dx
	outl	%eax, %dx
	ret

/* Looks at all that came; the first frame to our MAC ends it. */
receive:
	movw	$RX_SEGMENT, %bx
	movw	%bx, %es
	movw	AT(rx_used), %di
	movw	AT(taken), %ax
	cmpw	%es:2(%di), %ax
	je	2f
	incw	AT(taken)
	andw	AT(rx_mask), %ax
	shlw	$3, %ax
	addw	%ax, %di
	movw	%es:4(%di), %bx	/* the descriptor: an even number */
	movw	%es:8(%di), %cx	/* bytes */
	movw	%bx, %ax
	shlw	$10, %ax	/* half the number, of 2 KiB each */
	pushw	%bx
	movw	$BUFFER_SEGMENT, %bx
	movw	%bx, %es
	movw	%ax, %di
	addw	$HEADER_BYTES, %di
	popw	%bx
	movw	$(GIVEN + QB_GUEST_GIVEN_MAC), %si
	pushw	%di
	pushw	%cx
	movw	$3, %cx
	repe cmpsw
	popw	%cx
	popw	%di
	je	answered
	/* The buffer is the device's again. */
	movw	$RX_SEGMENT, %ax
	movw	%ax, %es
	movw	AT(rx_available), %si
	movw	%es:2(%si), %di
	andw	AT(rx_mask), %di
	addw	%di, %di
	addw	%si, %di
	movw	%bx, %es:4(%di)
	incw	%es:2(%si)
	leaw	V_NOTIFY(%bp), %dx
	xorw	%ax, %ax
	outw	%ax, %dx
	jmp	receive
2:	ret

answered:
	subw	$HEADER_BYTES, %cx
	cmpw	$QB_GUEST_FRAME_MAX, %cx
	jbe	3f
	movw	$QB_GUEST_FRAME_MAX, %cx
3:	movw	%cx, (RESULT + QB_GUEST_RESULT_LENGTH)
	movw	$BUFFER_SEGMENT, %ax
	movw	%ax, %ds
	movw	%di, %si
	xorw	%ax, %ax
	movw	%ax, %es
	movw	$(RESULT + QB_GUEST_RESULT_FRAME), %di
	rep movsb
	movw	%ax, %ds
	movb	$QB_GUEST_ANSWERED, %al
	jmp	done

zeros:	.fill	HEADER_BYTES, 1, 0
	.org	qb_prove_guest + QB_GUEST_CODE_SECTORS * QB_GUEST_SECTOR
qb_prove_guest_end:

#endif
	.section .note.GNU-stack, "", %progbits
