import { brand, isBranded } from '../port/brand.js';
import { ownError } from '../port/errors.js';

/** A message as the bytes that are on the wire, of a type that nobody needs to know. */
export class Frame {
  /** @param payload the message without its length prefix */
  constructor(readonly payload: Buffer) {}

  /** A frame of these very bytes; makes the class itself a {@link MessageType}. */
  static decode(bytes: Buffer): Frame {
    return new Frame(bytes);
  }
}

brand(Frame, 'Frame');

/** A type as protobufjs and ts-proto generate it. */
export interface ProtobufjsType<T> {
  /** Begins to write a message. It is asked for only to marshal. */
  encode?(message: T): {
    /** The bytes of the message. */
    finish(): Uint8Array;
  };
  /** The message that the bytes are. */
  decode(bytes: Buffer): T;
}

/** A type as google-protobuf's compiler generates it. */
export interface GoogleProtobufType<T> {
  /** The message that the bytes are. */
  deserializeBinary(bytes: Buffer): T;
}

/** What messages are unmarshalled as: {@link Frame}, or a generated type. */
export type MessageType<T> = ProtobufjsType<T> | GoogleProtobufType<T>;

/** Turns messages into bytes and back. */
export interface Codec {
  /** For people. */
  readonly name: string;
  /**
   * The bytes of a message.
   *
   * @param type for messages that do not know their type, as ts-proto's
   * @throws TypeError if it cannot tell how
   */
  marshal(value: unknown, type?: MessageType<unknown>): Buffer;
  /**
   * The message that the bytes are.
   *
   * @throws TypeError if it cannot tell how; or what the type throws for bytes that it does not understand
   */
  unmarshal<T>(data: Buffer, type: MessageType<T>): T;
}

/** Messages of protobufjs, ts-proto and google-protobuf, told by the methods that they have. */
export const protobufCodec: Codec = {
  name: 'proto',

  marshal(value: unknown, type?: MessageType<unknown>): Buffer {
    const bytes = serialized(value, type);
    if (bytes === undefined) {
      throw ownError(
        'ERR_INVALID_ARG_TYPE',
        'cannot marshal: the value has no serializeBinary() and no type with encode(); ' +
          'pass a Frame, or the generated type beside the value',
      );
    }
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  },

  unmarshal<T>(data: Buffer, type: MessageType<T>): T {
    if ('decode' in type && typeof type.decode === 'function') return type.decode(data);
    if ('deserializeBinary' in type && typeof type.deserializeBinary === 'function') {
      return type.deserializeBinary(data);
    }
    throw ownError(
      'ERR_INVALID_ARG_TYPE',
      'cannot unmarshal: the type has neither decode() nor deserializeBinary()',
    );
  },
};

/** A codec that passes raw frames and leaves anything else to {@link protobufCodec}. */
export function newCodec(): Codec {
  return codecWithParent(protobufCodec);
}

/**
 * A codec that passes raw frames untouched, the same `Buffer` in and out, and leaves anything else to `parent`.
 * Its name is `proxy>` and the parent's.
 */
export function codecWithParent(parent: Codec): Codec {
  return new FrameCodec(parent);
}

class FrameCodec implements Codec {
  readonly name: string;
  readonly #parent: Codec;

  constructor(parent: Codec) {
    this.name = `proxy>${parent.name}`;
    this.#parent = parent;
  }

  marshal(value: unknown, type?: MessageType<unknown>): Buffer {
    return value instanceof Frame ? value.payload : this.#parent.marshal(value, type);
  }

  unmarshal<T>(data: Buffer, type: MessageType<T>): T {
    if (isFrameType(type)) return type.decode(data);
    return this.#parent.unmarshal(data, type);
  }
}

function isFrameType<T>(type: MessageType<T>): type is ProtobufjsType<T> {
  return isBranded(type, 'Frame');
}

function serialized(value: unknown, type: object | undefined): Uint8Array | undefined {
  if (type !== undefined && hasMethod(type, 'encode')) return finished(type.encode(value));
  if (typeof value !== 'object' || value === null) return undefined;
  if (hasMethod(value, 'serializeBinary')) return bytesOrNone(value.serializeBinary());
  // protobufjs puts encode() on the message's class.
  if (hasMethod(value.constructor, 'encode')) return finished(value.constructor.encode(value));
  return undefined;
}

function finished(writer: unknown): Uint8Array | undefined {
  return hasMethod(writer, 'finish') ? bytesOrNone(writer.finish()) : undefined;
}

function bytesOrNone(value: unknown): Uint8Array | undefined {
  return value instanceof Uint8Array ? value : undefined;
}

function hasMethod<Name extends string>(
  value: unknown,
  name: Name,
): value is Record<Name, (...values: unknown[]) => unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof Reflect.get(value, name) === 'function'
  );
}
