import type { Clock, Log } from "sluice/plugin";
import type { Address, ListenerConfig } from "../../config/types.ts";
import type { GatewayHandler } from "../listener/inbound.ts";
import { type Listener, type ListenerOptions, openListener } from "../listener/listener.ts";
import { loadTlsMaterial } from "../listener/tls-material.ts";
