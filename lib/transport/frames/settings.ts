import { ErrorCode } from '../../port/error-code.js';
import { ConnectionError, DEFAULT_MAX_FRAME_SIZE, DEFAULT_WINDOW_SIZE, MAX_31_BITS } from './frame.js';

/** Setting identifiers (RFC 9113 section 6.5.2). */
export const Setting = {
  HEADER_TABLE_SIZE: 0x01,
  ENABLE_PUSH: 0x02,
  MAX_CONCURRENT_STREAMS: 0x03,
  INITIAL_WINDOW_SIZE: 0x04,
  MAX_FRAME_SIZE: 0x05,
  MAX_HEADER_LIST_SIZE: 0x06,
} as const;

/** The octets of one setting (section 6.5.1). */
export const SETTING_LENGTH = 6;

/** The SETTINGS_HEADER_TABLE_SIZE that every connection starts with, and that this engine keeps. */
export const HEADER_TABLE_SIZE = 4096;

/** What the peer has asked for, initially section 6.5.2's values. */
export class PeerSettings {
  headerTableSize = HEADER_TABLE_SIZE;
  /** The smallest that the last frame has made it, or that it was before. */
  smallestHeaderTableSize = HEADER_TABLE_SIZE;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindowSize = DEFAULT_WINDOW_SIZE;
  maxFrameSize = DEFAULT_MAX_FRAME_SIZE;
  maxHeaderListSize = Number.POSITIVE_INFINITY;

  /** Takes the settings of one frame, which are "processed in the order they appear" (6.5.3). */
  apply(payload: Buffer, start: number, end: number, fromServer: boolean): void {
    this.smallestHeaderTableSize = this.headerTableSize;
    for (let position = start; position < end; position += SETTING_LENGTH) {
      this.applyOne(payload.readUInt16BE(position), payload.readUInt32BE(position + 2), fromServer);
    }
  }

  private applyOne(identifier: number, value: number, fromServer: boolean): void {
    switch (identifier) {
      case Setting.HEADER_TABLE_SIZE:
        this.headerTableSize = value;
        this.smallestHeaderTableSize = Math.min(this.smallestHeaderTableSize, value);
        break;
      case Setting.ENABLE_PUSH:
        // "Any value other than 0 or 1 MUST be treated as a connection error of type PROTOCOL_ERROR"; "a
        // client MUST treat receipt of a SETTINGS frame with SETTINGS_ENABLE_PUSH set to 1 as" one, too.
        if (value > (fromServer ? 0 : 1)) throw protocolError('SETTINGS_ENABLE_PUSH out of range');
        break;
      case Setting.MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        break;
      case Setting.INITIAL_WINDOW_SIZE:
        // "Values above the maximum flow-control window size of 2^31-1 MUST be treated as a connection error
        // of type FLOW_CONTROL_ERROR."
        if (value > MAX_31_BITS) {
          throw new ConnectionError(
            ErrorCode.FLOW_CONTROL_ERROR,
            'SETTINGS_INITIAL_WINDOW_SIZE out of range',
          );
        }
        this.initialWindowSize = value;
        break;
      case Setting.MAX_FRAME_SIZE:
        // "Values outside this range MUST be treated as a connection error of type PROTOCOL_ERROR."
        if (value < DEFAULT_MAX_FRAME_SIZE || value > 2 ** 24 - 1) {
          throw protocolError('SETTINGS_MAX_FRAME_SIZE out of range');
        }
        this.maxFrameSize = value;
        break;
      case Setting.MAX_HEADER_LIST_SIZE:
        this.maxHeaderListSize = value;
        break;
      default:
      // "An endpoint that receives a SETTINGS frame with any unknown or unsupported identifier MUST ignore that
      // setting."
    }
  }
}

function protocolError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.PROTOCOL_ERROR, message);
}
