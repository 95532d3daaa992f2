# SPDX-License-Identifier: BSD-2-Clause
#
# irqchip.sh - each interrupt controller a host can offer, by name and by itself

scenario irqchip-gicv3 "6.1-a76 6.1-a57"
irqchip_gicv3()
{
	MAY_LACK=1 vm want:GUEST-READY exit:0 -- $(linux 6.1) --irqchip gicv3 -p "$QUIET"
	[ "$(field gic)" = 3 ] && [ "$(field its)" = 0 ] || fail "$(console)"
	silent
}

scenario irqchip-gicv3-its "6.1-a76 6.12-a76"
irqchip_gicv3_its()
{
	MAY_LACK=1 vm want:GUEST-READY exit:0 -- $(linux 6.1) --irqchip gicv3-its -p "$QUIET"
	[ "$(field gic)" = 3 ] && [ "$(field its)" = 1 ] || fail "$(console)"
	silent
}

scenario irqchip-gicv2 "6.1-gicv2"
irqchip_gicv2()
{
	MAY_LACK=1 vm want:GUEST-READY exit:0 -- $(linux 6.1) --irqchip gicv2 -p "$QUIET"
	[ "$(field gic)" = 2 ] || fail "$(console)"
	silent
}

scenario irqchip-not-there "6.1-a76 6.1-gicv2"
irqchip_not_there()
{
	case $HOST in
	*gicv2)
		refused 4 gicv3 $(flat) --irqchip gicv3
		refused 4 gicv3-its $(flat) --irqchip gicv3-its
		;;
	native) say_skip "not known what this host lacks" ;;
	*) refused 4 gicv2 $(flat) --irqchip gicv2 ;;
	esac
	refused 2 gicv5 $(flat) --irqchip gicv5
}
